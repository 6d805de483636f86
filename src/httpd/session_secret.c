/* SPDX-License-Identifier: Apache-2.0 */
#include "session_secret.h"

#include <http_config.h>
#include <http_log.h>

#include <apr_file_io.h>
#include <openssl/crypto.h>

#include "log_tags.h"

APLOG_USE_MODULE(session_ha);

/* All secrets at their longest, and as much again for comments. */
#define FILE_MAX (2 * HA_SECRETS_MAX * HA_SECRET_LEN_MAX)

/* Whether any user of this host may read or write it. */
static int is_open_to_all(const apr_finfo_t *finfo)
{
    return (finfo->protection & (APR_FPROT_WREAD | APR_FPROT_WWRITE)) != 0;
}

/* Bytes of the file into text, at most FILE_MAX; none of one that is open to
 * all. */
static apr_status_t read_text(char *text, apr_size_t *len,
                              apr_finfo_t *finfo, const char *path,
                              apr_pool_t *ptemp)
{
    apr_file_t *file;
    apr_status_t rv = apr_stat(finfo, path, APR_FINFO_TYPE, ptemp);

    *len = 0;
    if (rv == APR_SUCCESS && finfo->filetype != APR_REG) {
        /* To open a pipe would wait for whoever writes to it. */
        rv = APR_EINVAL;
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = apr_file_open(&file, path, APR_FOPEN_READ, APR_FPROT_OS_DEFAULT,
                       ptemp);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = apr_file_info_get(finfo, APR_FINFO_PROT | APR_FINFO_TYPE
                                  | APR_FINFO_SIZE, file);
    if (rv == APR_SUCCESS && finfo->size > FILE_MAX) {
        rv = APR_ENOSPC;
    }
    if (rv == APR_SUCCESS && !is_open_to_all(finfo)) {
        rv = apr_file_read_full(file, text, FILE_MAX, len);
        rv = APR_STATUS_IS_EOF(rv) ? APR_SUCCESS : rv;
    }
    apr_file_close(file);
    return rv;
}

int session_secret_read(ha_ring_t *ring, const char *path, server_rec *s,
                        apr_pool_t *ptemp)
{
    char text[FILE_MAX];
    apr_size_t len;
    apr_finfo_t finfo;
    unsigned int line;
    ha_ring_e result;
    apr_status_t rv = read_text(text, &len, &finfo, path, ptemp);

    memset(ring, 0, sizeof(*ring));
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s, HALOG(0107)
                     "SessionHASecretFile %s cannot be read as a file of at "
                     "most %d bytes", path, FILE_MAX);
        return 0;
    }
    if (is_open_to_all(&finfo)) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, HALOG(0108)
                     "SessionHASecretFile %s may be read or written by every "
                     "user of this host, who could then forge sessions: "
                     "chmod 600", path);
        return 0;
    }
    result = ha_ring_parse(ring, &line, span_of(text, len));
    /* The text is on the stack, which nobody clears. */
    OPENSSL_cleanse(text, sizeof(text));
    if (result != HA_RING_OK) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, HALOG(0109)
                     "SessionHASecretFile %s, line %u: %s; it takes one "
                     "secret a line, as `openssl rand -base64 32` prints "
                     "them", path, line, ha_ring_name(result));
        return 0;
    }
    return 1;
}
