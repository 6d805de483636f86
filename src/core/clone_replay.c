/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request that kills servers must not be carried from one to the next. So
 * it is sent again once, unless set otherwise, to one other member.
 *
 * A connection that had served before and breaks without a byte is mostly one
 * that the member had just closed for idleness. The same member is asked once
 * more; when that new connection stands, the first send is excused. When it
 * cannot be made, the member died, maybe of this request, and the first send
 * counts.
 */
#include "clone_replay.h"

int clone_end_is_sent(clone_end_e end)
{
    return end != CLONE_END_UNREACHED && end != CLONE_END_FULL;
}

int clone_replay_is_open(clone_replay_e allowed, int is_idempotent,
                         int is_upgrade)
{
    return !is_upgrade && (allowed == CLONE_REPLAY_ALWAYS
                           || (allowed == CLONE_REPLAY_IDEMPOTENT
                               && is_idempotent));
}

static clone_verdict_e say(clone_cause_e *cause, clone_cause_e because,
                           clone_verdict_e verdict)
{
    *cause = because;
    return verdict;
}

/* Whether it was sent as often as may be. Never sent, never too often. */
static int is_spent(const clone_facts_t *facts)
{
    unsigned int counted = facts->is_excused && facts->sends > 0
                         ? facts->sends - 1 : facts->sends;

    return counted > facts->replays;
}

static clone_verdict_e judge_unsent(clone_cause_e *cause,
                                    const clone_facts_t *facts)
{
    if (facts->is_last) {
        return say(cause, CLONE_CAUSE_ATTEMPTS, CLONE_VERDICT_STOP);
    }
    if (is_spent(facts)) {
        return say(cause, CLONE_CAUSE_LIMIT, CLONE_VERDICT_STOP);
    }
    return say(cause, CLONE_CAUSE_UNSENT, CLONE_VERDICT_NEXT);
}

static clone_verdict_e judge_sent(clone_cause_e *cause,
                                  const clone_facts_t *facts)
{
    if (facts->is_upgrade) {
        return say(cause, CLONE_CAUSE_UPGRADE, CLONE_VERDICT_STOP);
    }
    if (!clone_replay_is_open(facts->allowed, facts->is_idempotent, 0)) {
        return say(cause, CLONE_CAUSE_METHOD, CLONE_VERDICT_STOP);
    }
    if (!facts->is_held) {
        return say(cause, CLONE_CAUSE_BODY, CLONE_VERDICT_STOP);
    }
    if (facts->end == CLONE_END_LOST && facts->is_reused
        && !facts->is_repeated && facts->replays > 0) {
        return say(cause, CLONE_CAUSE_STALE, CLONE_VERDICT_SAME);
    }
    if (facts->end == CLONE_END_SILENT
        && facts->timeouts > facts->timeout_replays) {
        return say(cause, CLONE_CAUSE_TIMEOUTS, CLONE_VERDICT_STOP);
    }
    if (is_spent(facts)) {
        return say(cause, CLONE_CAUSE_LIMIT, CLONE_VERDICT_STOP);
    }
    if (facts->is_last) {
        return say(cause, CLONE_CAUSE_ATTEMPTS, CLONE_VERDICT_STOP);
    }
    return say(cause, CLONE_CAUSE_REPLAY, CLONE_VERDICT_NEXT);
}

clone_verdict_e clone_replay_judge(clone_cause_e *cause,
                                   const clone_facts_t *facts)
{
    if (facts->end == CLONE_END_ANSWERED) {
        return say(cause, CLONE_CAUSE_ANSWERED, CLONE_VERDICT_DONE);
    }
    if (facts->is_given) {
        return say(cause, CLONE_CAUSE_GIVEN, CLONE_VERDICT_STOP);
    }
    if (facts->is_late) {
        return say(cause, CLONE_CAUSE_LATE, CLONE_VERDICT_STOP);
    }
    return clone_end_is_sent(facts->end) ? judge_sent(cause, facts)
                                         : judge_unsent(cause, facts);
}

int clone_replay_status(clone_end_e end)
{
    switch (end) {
    case CLONE_END_UNREACHED:
    case CLONE_END_FULL:
        return 503;
    case CLONE_END_LOST:
    case CLONE_END_GARBLED:
        return 502;
    case CLONE_END_SILENT:
        return 504;
    default:
        return 0;
    }
}

const char *clone_end_name(clone_end_e end)
{
    switch (end) {
    case CLONE_END_ANSWERED:
        return "answered";
    case CLONE_END_UNREACHED:
        return "unreached";
    case CLONE_END_FULL:
        return "full";
    case CLONE_END_LOST:
        return "lost";
    case CLONE_END_SILENT:
        return "silent";
    case CLONE_END_GARBLED:
        return "garbled";
    case CLONE_END_STATUS:
        return "status";
    default:
        return "?";
    }
}

const char *clone_cause_name(clone_cause_e cause)
{
    static const char *const names[] = {
        "answered", "unsent", "stale", "replay", "given", "late", "attempts",
        "upgrade", "method", "body", "limit", "timeouts", "budget"
    };
    unsigned int i = (unsigned int)cause;

    return i < sizeof(names) / sizeof(names[0]) ? names[i] : "?";
}
