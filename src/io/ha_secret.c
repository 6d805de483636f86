/* SPDX-License-Identifier: Apache-2.0 */
#include "ha_secret.h"

#include <apr_file_io.h>
#include <openssl/crypto.h>

/* Whether any user of this host may read or write it. */
static int is_open_to_all(const apr_finfo_t *finfo)
{
    return (finfo->protection & (APR_FPROT_WREAD | APR_FPROT_WWRITE)) != 0;
}

const char *ha_secret_name(ha_secret_e result)
{
    switch (result) {
    case HA_SECRET_UNREADABLE:
        return "cannot be read";
    case HA_SECRET_IRREGULAR:
        return "is no regular file";
    case HA_SECRET_LARGE:
        return "is too large to hold secrets alone";
    case HA_SECRET_OK:
    case HA_SECRET_EXPOSED:
    case HA_SECRET_BAD:
    default:
        return "?";
    }
}

/* Bytes of the file into text, at most HA_SECRET_FILE_MAX; none of one that is
 * open to all, or larger. */
static apr_status_t read_text(char *text, apr_size_t *len,
                              apr_finfo_t *finfo, const char *path,
                              apr_pool_t *ptemp)
{
    apr_file_t *file;
    apr_status_t rv = apr_stat(finfo, path, APR_FINFO_TYPE, ptemp);

    *len = 0;
    if (rv != APR_SUCCESS || finfo->filetype != APR_REG) {
        /* To open a pipe would wait for whoever writes to it. */
        return rv;
    }
    rv = apr_file_open(&file, path, APR_FOPEN_READ, APR_FPROT_OS_DEFAULT,
                       ptemp);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = apr_file_info_get(finfo, APR_FINFO_PROT | APR_FINFO_TYPE
                                  | APR_FINFO_SIZE, file);
    if (rv == APR_SUCCESS && finfo->size <= HA_SECRET_FILE_MAX
        && !is_open_to_all(finfo)) {
        rv = apr_file_read_full(file, text, HA_SECRET_FILE_MAX, len);
        rv = APR_STATUS_IS_EOF(rv) ? APR_SUCCESS : rv;
    }
    apr_file_close(file);
    return rv;
}

ha_secret_e ha_secret_read(ha_ring_t *ring, ha_secret_fault_t *fault,
                           const char *path, apr_pool_t *ptemp)
{
    char text[HA_SECRET_FILE_MAX];
    apr_size_t len;
    apr_finfo_t finfo;

    memset(ring, 0, sizeof(*ring));
    memset(fault, 0, sizeof(*fault));
    fault->rv = read_text(text, &len, &finfo, path, ptemp);
    if (fault->rv != APR_SUCCESS) {
        return HA_SECRET_UNREADABLE;
    }
    if (finfo.filetype != APR_REG) {
        return HA_SECRET_IRREGULAR;
    }
    if (finfo.size > HA_SECRET_FILE_MAX) {
        return HA_SECRET_LARGE;
    }
    if (is_open_to_all(&finfo)) {
        return HA_SECRET_EXPOSED;
    }
    fault->ring = ha_ring_parse(ring, &fault->line, span_of(text, len));
    /* The text is on the stack, which nobody clears. */
    OPENSSL_cleanse(text, sizeof(text));
    return fault->ring == HA_RING_OK ? HA_SECRET_OK : HA_SECRET_BAD;
}
