/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_file.h"

#include <string.h>

#include <apr_file_io.h>

#define LOOK_AT (APR_FINFO_TYPE | APR_FINFO_MTIME | APR_FINFO_CTIME \
                 | APR_FINFO_SIZE | APR_FINFO_IDENT)

static void take(clone_look_t *look, const apr_finfo_t *finfo,
                 apr_status_t rv)
{
    memset(look, 0, sizeof(*look));
    look->rv = rv;
    if (rv == APR_SUCCESS) {
        look->mtime = finfo->mtime;
        look->ctime = finfo->ctime;
        look->size = finfo->size;
        look->inode = finfo->inode;
        look->device = finfo->device;
    }
}

void clone_file_look(clone_look_t *look, const char *path, apr_pool_t *p)
{
    apr_finfo_t finfo;

    take(look, &finfo, apr_stat(&finfo, path, LOOK_AT, p));
}

int clone_look_is_same(const clone_look_t *a, const clone_look_t *b)
{
    return a->rv == b->rv && a->mtime == b->mtime && a->ctime == b->ctime
           && a->size == b->size && a->inode == b->inode
           && a->device == b->device;
}

/* A folder or a pipe would be opened, too, and read for ever or not at all. */
static apr_status_t check_kind(clone_look_t *look, const char *path,
                               apr_pool_t *p)
{
    apr_finfo_t finfo;
    apr_status_t rv = apr_stat(&finfo, path, LOOK_AT, p);

    take(look, &finfo, rv);
    if (rv == APR_SUCCESS && finfo.filetype != APR_REG) {
        rv = finfo.filetype == APR_DIR ? APR_FROM_OS_ERROR(EISDIR)
                                       : APR_EINVAL;
    }
    return rv;
}

apr_status_t clone_file_read(span_t *text, clone_look_t *look,
                             const char *path, apr_size_t limit,
                             apr_pool_t *p)
{
    clone_look_t after;
    apr_file_t *file;
    apr_size_t got = 0;
    char *data;
    apr_status_t rv = check_kind(look, path, p);

    *text = span_of("", 0);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = apr_file_open(&file, path, APR_FOPEN_READ | APR_FOPEN_BINARY,
                       APR_OS_DEFAULT, p);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (look->size < (apr_off_t)limit) {
        limit = (apr_size_t)look->size;
    }
    data = apr_palloc(p, limit + 1);
    rv = apr_file_read_full(file, data, limit + 1, &got);
    (void)apr_file_close(file);
    if (rv != APR_SUCCESS && !APR_STATUS_IS_EOF(rv)) {
        return rv;
    }
    clone_file_look(&after, path, p);
    if (!clone_look_is_same(look, &after)) {
        return APR_EAGAIN;
    }
    *text = span_of(data, got);
    return APR_SUCCESS;
}
