/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds files to a fuzz target without a fuzzer, so that every seed and every
 * past finding is a test on any compiler. A target aborts on a finding.
 */
#include <stdio.h>
#include <stdlib.h>

/* Bytes of one input: what libFuzzer would be told by -max_len. */
#define INPUT_MAX (4 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* Returns 0 when the file cannot be read whole. */
static int feed(const char *path)
{
    unsigned char *input = malloc(INPUT_MAX);
    unsigned char *data;
    FILE *file = fopen(path, "rb");
    size_t size = 0;
    int is_read = 0;

    if (input != NULL && file != NULL) {
        size = fread(input, 1, INPUT_MAX, file);
        is_read = !ferror(file) && size < INPUT_MAX;
    }
    if (file != NULL) {
        fclose(file);
    }
    /* In a block of just its size, so that a sanitizer sees its end. */
    data = is_read ? realloc(input, size > 0 ? size : 1) : NULL;
    if (data == NULL) {
        fprintf(stderr, "replay: cannot read %s\n", path);
        free(input);
        return 0;
    }
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 1;
}

int main(int argc, char **argv)
{
    int fed = 0;
    int i;

    for (i = 1; i < argc; i++) {
        fed += feed(argv[i]);
    }
    printf("replay: %d of %d inputs\n", fed, argc - 1);
    return fed == 0 || fed < argc - 1;
}
