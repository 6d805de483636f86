/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rotation takes four steps:
 *
 *   add    the copy, with what this request changed, under the new id
 *   move   a record in the old log says where it went; the read-back has all
 *          that others had written by then, and whoever writes later reads
 *          the record back and follows
 *   carry  what others had written is appended to the new log
 *   leave  the old log is replaced by an end that keeps the forward
 *
 * What is in the old log at "move" is carried by the rotation; what comes
 * later, by whoever wrote it. Two rotations at once are two sessions: they
 * must not share what came with either, since one of them may be an attacker
 * who planted the id. What came before, and what comes late, both have.
 */
#include "ha_rotate.h"

/* ---- views -------------------------------------------------------------- */

/* Of what a session holds, take what is older than a stamp. */
static void take_before(ha_image_t *image, const ha_image_t *from,
                        const ha_stamp_t *before)
{
    apr_hash_index_t *hi;

    for (hi = apr_hash_first(NULL, from->attrs); hi; hi = apr_hash_next(hi)) {
        const ha_attr_t *attr = apr_hash_this_val(hi);

        if (before == NULL || attr->stamp.time < before->time) {
            ha_image_put(image, attr);
        }
    }
    for (hi = apr_hash_first(NULL, from->fields); hi; hi = apr_hash_next(hi)) {
        const span_t *field = apr_hash_this_val(hi);

        ha_image_keep(image, image->fields, *field);
    }
    ha_image_use(image, image->latest, from->access);
}

ha_session_t *ha_rotate_copy(const ha_session_t *session,
                             const ha_stamp_t *before, const ha_sid_t *sid,
                             apr_pool_t *p)
{
    ha_image_t *image = ha_image_make(p);

    take_before(image, ha_session_image(session), before);
    return ha_session_make_of(sid, image, p);
}

/* Put what was written under an old id: it is older than the rotation,
 * whatever the clock of its writer said. */
static void put_before(ha_image_t *image, const ha_attr_t *attr,
                       ha_stamp_t cut)
{
    ha_attr_t older = *attr;

    if (older.stamp.time > cut.time - HA_ROTATE_ROOM_USEC / 2) {
        older.stamp.time = cut.time - HA_ROTATE_ROOM_USEC / 2;
    }
    ha_image_put(image, &older);
}

/* Whether an attribute was written with a new id: what it was before is not
 * the session's any more. */
static int is_hidden(const ha_late_t *late, const ha_attr_t *attr)
{
    ha_attr_t newer = *attr;
    unsigned int i;

    for (i = 0; i < late->count; i++) {
        newer.stamp.time = late->cuts[i].time;
        newer.stamp.writer = 0;
        if (ha_image_has_attr(ha_session_image(late->heads[i]), &newer)) {
            return 1;
        }
    }
    return 0;
}

/* What came before the rotation, of all places it went to. */
static ha_image_t *late_image(const ha_late_t *late, apr_pool_t *p)
{
    ha_image_t *image = ha_image_make(p);
    apr_hash_index_t *hi;
    unsigned int i;

    for (hi = apr_hash_first(NULL, late->past->attrs); hi;
         hi = apr_hash_next(hi)) {
        if (!is_hidden(late, apr_hash_this_val(hi))) {
            ha_image_put(image, apr_hash_this_val(hi));
        }
    }
    for (i = 0; i < late->count; i++) {
        take_before(image, ha_session_image(late->heads[i]), &late->cuts[i]);
    }
    return image;
}

apr_table_t *ha_late_table(const ha_late_t *late, apr_pool_t *p)
{
    return ha_image_table(late_image(late, p), p);
}

ha_session_t *ha_late_copy(const ha_late_t *late, const ha_sid_t *sid,
                           apr_pool_t *p)
{
    return ha_session_make_of(sid, late_image(late, p), p);
}

/* ---- following ---------------------------------------------------------- */

int ha_late_is_due(const ha_session_t *session)
{
    return ha_forward_is_moved(ha_session_image(session));
}

static int is_known(const ha_late_t *late, const ha_sid_t *sid)
{
    unsigned int i;

    for (i = 0; i < late->count; i++) {
        if (memcmp(ha_session_sid(late->heads[i])->bytes, sid->bytes,
                   HA_SID_BYTES) == 0) {
            return 1;
        }
    }
    return 0;
}

/*
 * Load what a session's forwards lead to, and add what is alive or has moved
 * on. Who moved on is a head, too, until its own forwards are followed. Cut
 * is that of the session: the first one on the way holds.
 */
static void add_heads(ha_late_t *late, const ha_session_t *session,
                      const ha_stamp_t *cut, const ha_session_env_t *env)
{
    ha_forward_t forwards[HA_FORWARDS_MAX];
    unsigned int count = ha_forward_list(forwards, ha_session_image(session),
                                         ha_session_sid(session), late->pool);
    ha_session_env_t there = *env;
    unsigned int i;

    for (i = 0; i < count && late->count < HA_FORWARDS_MAX; i++) {
        ha_session_t *head;
        ha_sid_t sid;

        ha_sid_init(&sid, forwards[i].id);
        if (forwards[i].until <= late->since || is_known(late, &sid)) {
            continue;
        }
        there.issued = apr_time_from_sec(forwards[i].issued_sec);
        switch (ha_session_load(&head, &there, &sid, late->pool)) {
        case HA_LOAD_HIT:
        case HA_LOAD_MOVED:
            late->heads[late->count] = head;
            late->cuts[late->count++] = cut != NULL ? *cut
                                                    : forwards[i].stamp;
            break;
        case HA_LOAD_UNKNOWN:
            late->is_unknown = 1;
            break;
        case HA_LOAD_MISS:
        case HA_LOAD_ENDED:
            break;
        }
    }
}

/* Take a head out that has ended or moved on. */
static void drop_head(ha_late_t *late, unsigned int at)
{
    late->count--;
    memmove(&late->heads[at], &late->heads[at + 1],
            (late->count - at) * sizeof(late->heads[0]));
    memmove(&late->cuts[at], &late->cuts[at + 1],
            (late->count - at) * sizeof(late->cuts[0]));
}

/* Put those in the place of a head that it has moved on to. */
static void pass_on(ha_late_t *late, unsigned int at,
                    const ha_session_env_t *env)
{
    const ha_session_t *head = late->heads[at];
    ha_stamp_t cut = late->cuts[at];

    take_before(late->past, ha_session_image(head), &cut);
    drop_head(late, at);
    add_heads(late, head, &cut, env);
}

static void init_late(ha_late_t *late, ha_session_t *origin,
                      apr_time_t since, apr_pool_t *p)
{
    memset(late, 0, sizeof(*late));
    late->pool = p;
    late->origin = origin;
    late->past = ha_image_make(p);
    late->since = since;
}

/* Until the rotation is done, what it has not carried yet is in the old log
 * alone: whoever wrote that must find it. */
static void note_origin(ha_late_t *late)
{
    apr_hash_t *attrs = ha_session_image(late->origin)->attrs;
    apr_hash_index_t *hi;

    for (hi = apr_hash_first(NULL, attrs); hi && late->count > 0;
         hi = apr_hash_next(hi)) {
        put_before(late->past, apr_hash_this_val(hi), late->cuts[0]);
    }
}

/* Each step leaves the list no longer than it may be, and an id can only be
 * rotated on as often as somebody has had the time to; a budget ends it. */
ha_load_e ha_late_follow(ha_late_t *late, ha_session_t *origin,
                         apr_time_t since, const ha_session_env_t *env,
                         apr_pool_t *p)
{
    unsigned int hops = 0;
    unsigned int i = 0;

    init_late(late, origin, since, p);
    add_heads(late, origin, NULL, env);
    note_origin(late);
    while (i < late->count) {
        if (!ha_late_is_due(late->heads[i])) {
            i++;
        }
        else if (hops++ < HA_ROTATE_HOPS_MAX) {
            pass_on(late, i, env);
        }
        else {
            drop_head(late, i);
        }
    }
    return late->count > 0 ? HA_LOAD_HIT
           : late->is_unknown ? HA_LOAD_UNKNOWN : HA_LOAD_ENDED;
}

/* ---- writing with the old id -------------------------------------------- */

/* A stamp behind all that came before the rotation, and before it. */
static ha_stamp_t late_stamp(const ha_late_t *late, const ha_stamp_t *cut,
                             const ha_session_env_t *env)
{
    ha_stamp_t stamp = { 0, env->writer };
    const ha_image_t *image = late_image(late, late->pool);
    apr_hash_index_t *hi;

    for (hi = apr_hash_first(NULL, image->attrs); hi; hi = apr_hash_next(hi)) {
        const ha_attr_t *attr = apr_hash_this_val(hi);

        if (attr->stamp.time < cut->time && attr->stamp.time >= stamp.time) {
            stamp.time = attr->stamp.time;
        }
    }
    if (stamp.time + HA_ROTATE_ROOM_USEC < cut->time) {
        stamp.time = cut->time - HA_ROTATE_ROOM_USEC;
    }
    if (stamp.time + 1 < cut->time) {
        stamp.time += 1;
    }
    return stamp;
}

/* The result of several places is that of the worst; who is to be brought
 * what, that of the first. */
static void note_worst(ha_saved_t *saved, const ha_saved_t *one, int is_first)
{
    if (is_first) {
        *saved = *one;
    }
    else if (one->copies < saved->copies) {
        saved->wanted = one->wanted;
        saved->copies = one->copies;
        saved->owners = one->owners;
    }
}

void ha_late_save(ha_late_t *late, ha_saved_t *saved,
                  const ha_session_env_t *env, const ha_op_t *ops,
                  unsigned int count)
{
    unsigned int hops = 0;
    unsigned int alive = 0;
    unsigned int i = 0;
    ha_change_t change;
    ha_saved_t one;

    memset(saved, 0, sizeof(*saved));
    saved->wanted = env->replicas;
    change.access = env->now;
    change.ops = ops;
    change.count = count;
    while (i < late->count) {
        change.stamp = late_stamp(late, &late->cuts[i], env);
        ha_session_write(late->heads[i], &one, env, &change);
        if (ha_late_is_due(late->heads[i]) && hops++ < HA_ROTATE_HOPS_MAX) {
            /* It is moving on at this moment. */
            pass_on(late, i, env);
            continue;
        }
        if (!one.refused) {
            note_worst(saved, &one, alive++ == 0);
        }
        i++;
    }
    saved->refused = alive == 0 && !late->is_unknown;
}

/*
 * A logout asks for nobody's leave: however old a forward is, it is followed,
 * and so is one that was found while the end was stored. Nor does it load
 * what it ends: another logout may have begun with it, and not got further.
 */
void ha_rotate_end(ha_session_t *session, ha_saved_t *saved,
                   const ha_session_env_t *env, apr_pool_t *p)
{
    ha_session_t *todo[HA_ROTATE_HOPS_MAX];
    ha_forward_t forwards[HA_FORWARDS_MAX];
    unsigned int count = 0;
    unsigned int done;
    ha_saved_t one;

    todo[count++] = session;
    for (done = 0; done < count; done++) {
        unsigned int found;
        unsigned int i;

        ha_session_end(todo[done], &one, env);
        note_worst(saved, &one, done == 0);
        found = ha_forward_list(forwards, ha_session_image(todo[done]),
                                ha_session_sid(todo[done]), p);
        for (i = 0; i < found && count < HA_ROTATE_HOPS_MAX; i++) {
            ha_sid_t sid;

            ha_sid_init(&sid, forwards[i].id);
            todo[count++] = ha_session_make(&sid, p);
        }
    }
}

/* ---- rotating ----------------------------------------------------------- */

/*
 * What the old log holds and the new one lacks was written by requests that
 * were under way: it is older than the rotation, whatever their clocks said.
 */
static void take_missing(ha_image_t *more, const ha_session_t *fresh,
                         const ha_image_t *from, ha_stamp_t cut)
{
    apr_hash_index_t *hi;

    for (hi = apr_hash_first(NULL, from->attrs); hi; hi = apr_hash_next(hi)) {
        const ha_attr_t *attr = apr_hash_this_val(hi);

        if (!ha_image_has_attr(ha_session_image(fresh), attr)) {
            put_before(more, attr, cut);
        }
    }
}

/* Append to the new log what the old one had at the move, and what another
 * rotation of the same moment has of it. */
static void carry(ha_session_t *fresh, ha_session_t *old,
                  const ha_forward_t *forward, const ha_session_env_t *env)
{
    ha_image_t *more = ha_image_make(ha_session_pool(fresh));
    ha_late_t others;
    ha_saved_t saved;

    take_missing(more, fresh, ha_session_image(old), forward->stamp);
    if (apr_hash_count(ha_session_image(old)->forwards) > 1
        && ha_late_follow(&others, old, env->now, env,
                          ha_session_pool(fresh)) == HA_LOAD_HIT) {
        unsigned int i;

        for (i = 0; i < others.count; i++) {
            if (memcmp(ha_session_sid(others.heads[i])->bytes, forward->id,
                       HA_SID_BYTES) == 0) {
                drop_head(&others, i--);
            }
        }
        take_missing(more, fresh, late_image(&others, others.pool),
                     forward->stamp);
    }
    if (apr_hash_count(more->attrs) > 0) {
        ha_session_merge(fresh, &saved, env, more);
    }
}

ha_rotate_e ha_rotate_session(ha_session_t *fresh, ha_session_t *old,
                              ha_forward_t *forward, ha_saved_t *saved,
                              ha_saved_t *left, const ha_session_env_t *env,
                              const ha_op_t *ops, unsigned int count)
{
    ha_image_t *more = ha_image_make(ha_session_pool(fresh));
    char field[HA_FORWARD_BYTES];
    ha_session_env_t there = *env;
    ha_change_t change;
    ha_saved_t moved;

    memset(left, 0, sizeof(*left));
    there.far_later = 0;
    change.stamp = ha_session_stamp(fresh, env);
    if (change.stamp.time < APR_INT64_MAX - HA_ROTATE_ROOM_USEC) {
        change.stamp.time += HA_ROTATE_ROOM_USEC;
    }
    change.access = env->now;
    change.ops = ops;
    change.count = count;
    forward->stamp = change.stamp;
    ha_session_write(fresh, saved, &there, &change);
    if (saved->copies == 0 || saved->copies < saved->acks) {
        return HA_ROTATE_FAILED;
    }
    /* Who moves and who writes at this moment must meet on some node: that
     * takes all owners, however few a save may do with. */
    there.acks = 0;
    ha_image_keep(more, more->forwards,
                  ha_forward_encode(field, ha_session_sid(old), forward));
    ha_session_merge(old, &moved, &there, more);
    if (!ha_forward_is_logout(ha_session_image(old))) {
        carry(fresh, old, forward, &there);
        ha_session_leave(old, left, &there, span_of(field, sizeof(field)));
    }
    if (ha_forward_is_logout(ha_session_image(old))) {
        ha_session_end(fresh, left, &there);
        return HA_ROTATE_ENDED;
    }
    return HA_ROTATE_DONE;
}
