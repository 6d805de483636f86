/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vault is an array in shared memory. The parent writes one entry behind
 * the others, then raises their number, and that is the only thing that ever
 * changes. It has room for a number of changes that nobody makes by hand
 * between two restarts; a restart begins a new vault with the latest ring.
 * Children of before keep theirs until they end.
 *
 * A file that is being written may be good and lack its last lines, which
 * would log users out. So it is read when it has not changed for a moment.
 */
#include "session_keys.h"

#include <http_config.h>
#include <http_log.h>

#include <apr_atomic.h>
#include <apr_file_info.h>
#include <apr_shm.h>
#include <openssl/crypto.h>

#include "log_tags.h"
#include "session_module.h"
#include "session_secret.h"

APLOG_USE_MODULE(session_ha);

/* Rings between two restarts. */
#define RINGS_MAX 64

/* How long a file must have been left alone to be read. */
#define SETTLE_USEC (2 * APR_USEC_PER_SEC)

/* Seconds without a locked session after which all is said to be well. */
#define CALM_SEC 60

/* What tells one state of a file from another. */
typedef struct look_t {
    apr_status_t rv; /* APR_SUCCESS, or why there is no file */
    apr_time_t mtime;
    apr_time_t ctime;
    apr_off_t size;
    apr_ino_t inode;
    apr_dev_t device;
} look_t;

/* What children see. */
typedef struct shelf_t {
    volatile apr_uint32_t count;
    session_keys_t keys[RINGS_MAX];
} shelf_t;

struct session_vault_t {
    shelf_t *shelf;         /* shared */
    session_ring_t *latest; /* the rest is of the parent alone */
    const char *path;
    look_t taken;           /* as it was when it was read last */
    look_t last;            /* as it was when it was looked at last */
    int is_full;            /* said so */
};

/* ---- the vault ----------------------------------------------------------- */

static void put_keys(shelf_t *shelf, const session_ring_t *ring)
{
    session_keys_t *keys = &shelf->keys[apr_atomic_read32(&shelf->count)];

    keys->ring = ring->ring;
    keys->seal.ring = &keys->ring;
    keys->seal.encryption = ring->encryption;
    keys->since = ring->since;
    keys->is_shut = ring->is_shut;
    /* A full barrier: who sees the number sees the entry. */
    apr_atomic_inc32(&shelf->count);
}

static look_t look_at(const char *path, apr_pool_t *ptemp)
{
    apr_finfo_t finfo;
    look_t look;

    memset(&look, 0, sizeof(look));
    look.rv = apr_stat(&finfo, path, APR_FINFO_MTIME | APR_FINFO_CTIME
                                     | APR_FINFO_SIZE | APR_FINFO_IDENT,
                       ptemp);
    if (look.rv == APR_SUCCESS) {
        look.mtime = finfo.mtime;
        look.ctime = finfo.ctime;
        look.size = finfo.size;
        look.inode = finfo.inode;
        look.device = finfo.device;
    }
    return look;
}

static int is_same(const look_t *a, const look_t *b)
{
    return a->rv == b->rv && a->mtime == b->mtime && a->ctime == b->ctime
        && a->size == b->size && a->inode == b->inode
        && a->device == b->device;
}

apr_status_t session_keys_make(session_vault_t **vault,
                               session_ring_t *latest, const char *path,
                               apr_pool_t *pconf)
{
    session_vault_t *made = apr_pcalloc(pconf, sizeof(*made));
    apr_shm_t *shm;
    apr_status_t rv = apr_shm_create(&shm, sizeof(*made->shelf), NULL,
                                     pconf);

    *vault = NULL;
    if (rv != APR_SUCCESS) {
        return rv;
    }
    made->shelf = apr_shm_baseaddr_get(shm);
    memset(made->shelf, 0, sizeof(*made->shelf));
    made->latest = latest;
    made->path = path;
    if (path != NULL) {
        made->last = look_at(path, pconf);
        if (apr_time_now() - made->last.mtime > SETTLE_USEC) {
            /* Else it may have changed since it was read: once more. */
            made->taken = made->last;
        }
    }
    put_keys(made->shelf, latest);
    *vault = made;
    return APR_SUCCESS;
}

const session_keys_t *session_keys(void)
{
    shelf_t *shelf = session_site()->vault->shelf;

    return &shelf->keys[apr_atomic_read32(&shelf->count) - 1];
}

/* ---- the file ------------------------------------------------------------ */

const char *session_keys_left(const session_ring_t *ring)
{
    return ring->is_shut ? "and no secrets were read before: requests are "
                           "answered as if no node answered until it is "
                           "mended and httpd is restarted gracefully"
         : ring->is_read ? "the secrets read before stay in use"
                         : "the random secret of before stays in use";
}

/* Read a file that has changed; a bad one changes nothing. */
static void take_file(session_vault_t *vault, server_rec *s,
                      apr_pool_t *ptemp)
{
    ha_ring_t ring;

    if (!session_secret_read(&ring, vault->path, 1, s, ptemp)) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, HALOG(0171)
                     "SessionHASecretFile %s has changed and is not taken, %s",
                     vault->path, session_keys_left(vault->latest));
    }
    else if (vault->latest->is_shut) {
        /* What other web servers say of earlier nodes was not believed when
         * this configuration began: users would be taken for new ones. */
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s, HALOG(0175)
                     "SessionHASecretFile %s can be read now; a graceful "
                     "restart takes it", vault->path);
    }
    else if (memcmp(&ring, &vault->latest->ring, sizeof(ring)) != 0) {
        vault->latest->ring = ring;
        vault->latest->since = apr_time_now();
        vault->latest->is_read = 1;
        put_keys(vault->shelf, vault->latest);
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s, HALOG(0172)
                     "SessionHASecretFile %s has changed and is taken: %u "
                     "secrets, the first signs", vault->path, ring.count);
    }
    ha_ring_wipe(&ring);
}

int session_keys_monitor(apr_pool_t *p, server_rec *s)
{
    session_vault_t *vault = session_site() != NULL ? session_site()->vault
                                                    : NULL;
    apr_pool_t *ptemp;
    look_t look;
    int is_settled;

    if (vault == NULL || vault->path == NULL || vault->is_full) {
        return DECLINED;
    }
    /* The pool given lives until the next restart. */
    apr_pool_create(&ptemp, p);
    look = look_at(vault->path, ptemp);
    is_settled = is_same(&look, &vault->last)
              || apr_time_now() - look.mtime > SETTLE_USEC;
    vault->last = look;
    if (is_settled && !is_same(&look, &vault->taken)) {
        vault->taken = look;
        if (apr_atomic_read32(&vault->shelf->count) == RINGS_MAX) {
            vault->is_full = 1;
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, HALOG(0173)
                         "SessionHASecretFile %s has changed %d times since "
                         "the last restart; the next change takes a graceful "
                         "restart", vault->path, RINGS_MAX);
        }
        else {
            take_file(vault, s, ptemp);
        }
    }
    apr_pool_destroy(ptemp);
    return DECLINED;
}

/* ---- what no secret opens ------------------------------------------------ */

static void say_locked(const ha_noticed_t *noticed, server_rec *s)
{
    session_counts_t *counts = session_site()->counts;

    apr_atomic_add64(&counts->locked, noticed->locked + noticed->clear);
    apr_atomic_set32(&counts->locked_sec,
                     (apr_uint32_t)apr_time_sec(apr_time_now()));
    if (apr_atomic_xchg32(&counts->is_locked, 1) == 1) {
        return;
    }
    if (noticed->locked > 0) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, HALOG(0440)
                     "a session is sealed by a secret that is not in "
                     "SessionHASecretFile; such copies are left as they are "
                     "and not believed: put the secret back, behind the "
                     "others, until no session needs it");
    }
    else {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, HALOG(0442)
                     "a session is stored in clear, where "
                     "SessionHAEncryption On believes what is sealed alone; "
                     "such copies are left as they are: sessions of before "
                     "are taken over by SessionHAEncryption Migrate");
    }
}

void session_keys_note(const ha_noticed_t *noticed, server_rec *s)
{
    session_counts_t *counts = session_site()->counts;
    apr_uint32_t now_sec = (apr_uint32_t)apr_time_sec(apr_time_now());

    if (noticed->locked + noticed->clear > 0) {
        say_locked(noticed, s);
    }
    else if (apr_atomic_read32(&counts->is_locked)
             && now_sec - apr_atomic_read32(&counts->locked_sec) > CALM_SEC
             && apr_atomic_xchg32(&counts->is_locked, 0)) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s, HALOG(0441)
                     "all sessions of the last %d s could be opened again",
                     CALM_SEC);
    }
}
