/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HA_LIMITS_H
#define HA_LIMITS_H

/**
 * @file ha_limits.h
 * Every limit by name, with its unit and its reason.
 */

/** Nodes in one cluster. Placement works on arrays of this size. */
#define HA_NODES_MAX 64

/**
 * Earlier lists of nodes by which sessions are still looked for: more edits
 * than this within one lifetime are a mistake, and each costs a placement.
 */
#define HA_PAST_MAX 4

/**
 * Sessions that a host remembers to have been written while one of their
 * nodes was away: 2 MiB of shared memory, a power of two.
 */
#define HA_REFILL_MAX (32 * 1024)

/** Sessions that a host copies back to nodes in a second. */
#define HA_REFILL_RATE_DEFAULT 100
#define HA_REFILL_RATE_MAX 10000

/** Web servers that share the nodes and tell each other so. */
#define HA_FLEET_MAX 64

/**
 * Seconds for which two web servers may differ before that is an error: to
 * reload all of them one after the other takes minutes.
 */
#define HA_FLEET_LONG_SEC 600

/** Seconds without a new entry after which a web server is not there. */
#define HA_FLEET_STALE_SEC 60

/** Bytes of a web server's name for others: host, colon and port. */
#define HA_FLEET_LABEL_MAX 270

/** Bytes of a node's or a zone's name: it stands in log lines. */
#define HA_NAME_MAX 64

/** Copies kept of each session. */
#define HA_REPLICAS_MIN 1
#define HA_REPLICAS_MAX 8
#define HA_REPLICAS_DEFAULT 2

/** A node's weight. */
#define HA_WEIGHT_MIN 1
#define HA_WEIGHT_MAX 100

/**
 * Bytes of one stored value, log included. memcached's item limit is 1 MiB
 * with header and key; half of it keeps appends away from the edge.
 */
#define HA_VALUE_MAX (512 * 1024)

/** Bytes of all names and values of one session: what a save accepts. */
#define HA_SESSION_MAX (128 * 1024)

/**
 * Bytes of a session above which its size is warned of, and again at each
 * doubling: it crosses the network with every request, in R copies.
 */
#define HA_SESSION_LARGE (4 * 1024)

/** Attributes of one session: a fold stays far under a millisecond. */
#define HA_ATTRS_MAX 1024

/** Bytes of one attribute's name. */
#define HA_ATTR_NAME_MAX 1024

/** Bytes of an application's changes in one answer, all header lines: with
 * every byte escaped it is more than a session may hold anyway. */
#define HA_FORM_MAX (HA_SESSION_MAX * 3)

/**
 * A log is folded into a snapshot when it holds so many records more than
 * that, or so many bytes: a reader decodes at most this much garbage. It may
 * be folded from fewer records on, once what was appended is half as much
 * again as the snapshot: so folding sends less than the appends did, and a
 * change of 100 bytes to a session of 4 kB a tenth of the session.
 */
#define HA_FOLD_RECORDS_MIN 16
#define HA_FOLD_RECORDS_MAX 64
#define HA_FOLD_BYTES (16 * 1024)

/** Bytes of one cookie value that is looked at; longer ones are refused. */
#define HA_COOKIE_MAX 4096

/** Bytes of a cookie's name: it is signed with the value, in one piece. */
#define HA_COOKIE_NAME_MAX 256

/** Cookies of our name in one request that are tried before giving up. */
#define HA_COOKIES_TRIED 8

/** Secrets in the ring file: one signs, the others still verify. */
#define HA_SECRETS_MAX 8

/** Characters of a secret: 32 of base64 carry 192 bits. */
#define HA_SECRET_LEN_MIN 32
#define HA_SECRET_LEN_MAX 1024

/** Rotations of one id that are followed: more at once is nobody's user. */
#define HA_FORWARDS_MAX 4

/** Rotations in a row that one request follows: it was under way for long. */
#define HA_ROTATE_HOPS_MAX 16

/**
 * Microseconds between the latest write before a rotation and the rotation:
 * room for the writes that are under way then, which count as older than it.
 * The second half has one for each write with the old id.
 */
#define HA_ROTATE_ROOM_USEC 100000

/** Seconds for which an id that was rotated leads to the new one. */
#define HA_ROTATE_GRACE_DEFAULT_SEC 10
#define HA_ROTATE_GRACE_MAX_SEC 300

/**
 * Microseconds by which clocks of two web servers may differ unnoticed. With
 * NTP they stay within a tenth of a second; a quartz that lost it is off by
 * less than this for half a day. What is ahead of a reader's clock by more is
 * counted and warned of, and a cookie from so far ahead proves no witness.
 */
#define HA_SKEW_USEC (5 * 1000000LL)

/** Time for all store work of one request, microseconds. */
#define HA_BUDGET_DEFAULT_USEC (250 * 1000LL)
#define HA_BUDGET_MIN_USEC (10 * 1000LL)
#define HA_BUDGET_MAX_USEC (10 * 1000000LL)

/** Seconds that a lock outlives its owner's last word: so long is a user who
 * asked for one request at a time kept out by a web server that died. */
#define HA_LOCK_TTL_SEC 15

/** Microseconds between two renewals of a lock: two may fail. */
#define HA_LOCK_RENEW_USEC (4 * 1000000LL)

/** Microseconds that a request waits for the one before it. */
#define HA_LOCK_WAIT_DEFAULT_USEC (5 * 1000000LL)
#define HA_LOCK_WAIT_MAX_USEC (60 * 1000000LL)

/** Seconds a session may idle when SessionMaxAge does not say. */
#define HA_IDLE_DEFAULT_SEC 1800

/** Seconds at most between two touches of a session that is in use. */
#define HA_TOUCH_MAX_SEC 60

/** Bytes of shared memory for the shm store. */
#define HA_SHM_DEFAULT (32 * 1024 * 1024)
#define HA_SHM_MIN (1024 * 1024)
#define HA_SHM_MAX (16LL * 1024 * 1024 * 1024)

/**
 * What one child keeps for nodes that need not be waited for: sessions, and
 * bytes of their records. A far zone that is away for a minute costs each
 * child at most this much memory; what does not fit is dropped, and counted.
 */
#define HA_COURIER_PARCELS 4096
#define HA_COURIER_BYTES (8 * 1024 * 1024)

/** Bytes up to which records of one session are joined while they wait. */
#define HA_COURIER_JOIN_BYTES (64 * 1024)

/** Threads of one child that bring parcels: so many round trips at a time.
 * One is enough until the queue grows. */
#define HA_COURIER_THREADS 4

/** Tasks of one child: what is done now and then behind requests. */
#define HA_COURIER_TASKS 4

/** Microseconds for bringing what is left when a child ends: the parent sends
 * its second SIGTERM after three seconds, and SIGKILL after nine. */
#define HA_COURIER_DRAIN_USEC (2 * 1000000LL)

/** Clone ids that one cookie value may list; the rest is ignored. */
#define CLONE_IDS_MAX 32

/** Cookies and URL parameters of the session's name looked at per request. */
#define CLONE_VALUES_MAX 8

/** Bytes of a session cookie value that the router reads. */
#define CLONE_VALUE_MAX 8192

/** Characters that divide a value of a free form. */
#define CLONE_SEPARATORS_MAX 8

/**
 * Clone ids of no member that are remembered: a cluster of a hundred servers
 * that are restarted every day makes as many in a month. 12 bytes each.
 */
#define CLONE_LEARN_DEFAULT 4096
#define CLONE_LEARN_MIN 64
#define CLONE_LEARN_MAX (1024 * 1024)

/** Bytes of the router's own cookie that are looked at, and clones that it
 * lists: who served last, and a few to go back to. Routes have up to 95
 * characters, three times that when all of them must be encoded. */
#define CLONE_COOKIE_MAX 1536
#define CLONE_COOKIE_CLONES 4

/** Characters in front of a session id that a free form may skip. */
#define CLONE_SKIP_MAX 64

/**
 * Bytes of a plugin-cfg.xml. A thousand applications on a hundred servers
 * make one of 4 MiB; what is read takes about twenty times as much for a
 * moment.
 */
#define CLONE_XML_MAX (8 * 1024 * 1024)

/** Elements within elements; that file has five levels. */
#define CLONE_XML_DEPTH_MAX 16

/** Elements of a file, and attributes of one element. */
#define CLONE_XML_ELEMENTS_MAX 100000
#define CLONE_XML_ATTRIBUTES_MAX 64

/** Bytes of a name, a value, or text between two elements. */
#define CLONE_XML_NAME_MAX 128
#define CLONE_XML_TEXT_MAX 4096

/** Servers of one cluster: the router's view of a balancer is an array. */
#define CLONE_PLUGIN_SERVERS_MAX 1024

/** Seconds that a plugin-cfg.xml may name: a year. Longer is a mistake. */
#define CLONE_PLUGIN_SEC_MAX 31536000

/** Findings about one file that are listed; the rest is counted. */
#define CLONE_FINDINGS_MAX 1000

/** Bytes of a file that one finding quotes. */
#define CLONE_QUOTE_MAX 64

/** Paths of hosts that an index holds: a million take 100 MiB. */
#define CLONE_MATCH_MAX 1000000

/** Bytes of a path without parameters that is matched against patterns. */
#define CLONE_PATH_MAX 8192

/** Bytes of a private header's value; a longer one is left out. A client's
 * certificate takes 1 to 6 kB. */
#define CLONE_FIELD_MAX 16384

/** How often a request that a member may have executed is sent again. */
#define CLONE_REPLAYS_DEFAULT 1
#define CLONE_REPLAYS_MAX 8

/**
 * Bytes of a body held in memory, and held at all, for requests that may be
 * sent again: a form, and a photo. A hundred of them take 100 MiB of disk.
 */
#define CLONE_BODY_MEMORY_DEFAULT (64 * 1024)
#define CLONE_BODY_MEMORY_MAX (16 * 1024 * 1024)
#define CLONE_BODY_FILE_DEFAULT (1024 * 1024)
#define CLONE_BODY_FILE_MAX (1024LL * 1024 * 1024 * 1024)

/** Failures in a row after which a member is down: one is an accident. */
#define CLONE_FAILURES_DEFAULT 3
#define CLONE_FAILURES_MAX 1000

/** Microseconds after which no attempt begins: one of mod_proxy's time-outs
 * by default, and half of another. */
#define CLONE_DEADLINE_DEFAULT_USEC (90 * 1000000LL)
#define CLONE_DEADLINE_MIN_USEC (100 * 1000LL)
#define CLONE_DEADLINE_MAX_USEC (3600 * 1000000LL)

/** Requests under way to one member that may be asked for: more than a child
 * of httpd, or all of them, will ever have. */
#define CLONE_IN_FLIGHT_MAX 1000000

/** Requests that wait for a member. Each keeps a thread from other work. */
#define CLONE_QUEUE_DEFAULT 64
#define CLONE_QUEUE_MAX 100000

/** Microseconds for which they do: a user's patience, and some pages' time. */
#define CLONE_WAIT_DEFAULT_USEC (3 * 1000000LL)
#define CLONE_WAIT_MAX_USEC (60 * 1000000LL)

/** Microseconds after which they look again, at first and later. */
#define CLONE_PAUSE_MIN_USEC (2 * 1000LL)
#define CLONE_PAUSE_MAX_USEC (20 * 1000LL)

/** Microseconds in which a member that is back gets its whole share, and the
 * parts that are told apart: one in a hundred goes there from the first on. */
#define CLONE_SLOW_START_MIN_USEC (1000000LL)
#define CLONE_SLOW_START_MAX_USEC (3600 * 1000000LL)
#define CLONE_SHARE_WHOLE 1000
#define CLONE_SHARE_MIN 10

/** Microseconds of an error after which it is one, and not an attempt that is
 * about to be judged. */
#define CLONE_AWAY_USEC (1000000LL)

/** Microseconds between two lines of the log about one member that turns
 * requests away. */
#define CLONE_FULL_TOLD_USEC (10 * 1000000LL)

/** Members of all balancers whose failures are counted: 64 kB. */
#define CLONE_MEMBERS_MAX 1024

/** Microseconds for which others wait for the end of a trial: a member that
 * takes a connection and is silent gets the next request after so long. */
#define CLONE_TRIAL_USEC (10 * 1000000LL)

/**
 * Requests that may be sent again at once, when a member dies: as many as a
 * large site has under way there. The rest is a share of all requests.
 */
#define CLONE_BUDGET_TOKENS 1000

/** Percent of requests that may be sent again, and a second in any case. */
#define CLONE_BUDGET_PERCENT_DEFAULT 20
#define CLONE_BUDGET_PERCENT_MAX 100
#define CLONE_BUDGET_FLOOR_DEFAULT 3
#define CLONE_BUDGET_FLOOR_MAX 1000

/** Microseconds of quiet that pay at most: no sum gets too large. */
#define CLONE_BUDGET_WINDOW_USEC (3600 * 1000000LL)

/** Balancers that have a budget of their own: 16 kB. */
#define CLONE_BUDGET_BALANCERS_MAX 256

/** Seconds in Retry-After at most: an error page that says an hour is not
 * looked at again. */
#define CLONE_RETRY_AFTER_MAX_SEC 60

/** Bytes of a decision in words, for an access log, and as JSON. */
#define CLONE_EXPLAIN_TEXT_MAX 1024
#define CLONE_EXPLAIN_JSON_MAX 4096

/** Members and attempts that a decision tells of; the rest is counted. */
#define CLONE_EXPLAIN_MEMBERS 32
#define CLONE_EXPLAIN_ATTEMPTS 8

/** Bytes of the key that tags are made with. */
#define CLONE_TAG_KEY 16

#endif
