/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOG_TAGS_H
#define LOG_TAGS_H

/**
 * @file log_tags.h
 * Tags of our log messages, one line each. A number belongs to one place in
 * the code for ever: a message that goes takes its number along.
 */

/** Tag of a message of mod_session_ha, 0100 to 0999. */
#define HALOG(n) "HA" #n ": "

/** Tag of a message of mod_proxy_balancer_clone, 0100 to 0999. */
#define CRLOG(n) "CR" #n ": "

/*
 * mod_proxy_balancer_clone
 *
 * 0101 crit    routing is on for a balancer without stickysession
 * 0102 crit    routing is off for a balancer whose lbmethod is clone
 * 0103 crit    no lbmethod to fall back on: mod_lbmethod_byrequests is missing
 * 0104 info    start: a balancer is routed by clone, over which lbmethod
 * 0105 warning BalancerPersist brought back a state without clone routing
 * 0106 crit    a balancer is to be routed without mod_proxy_balancer
 * 0107 warning two members of a balancer have one route
 * 0120 crit    no memory or no random bytes for clone ids that are learned
 * 0121 crit    the file of secrets for the route cookie cannot be read;
 *              error: on a reload
 * 0122 crit    the file of secrets for the route cookie is open to everybody;
 *              as 0121
 * 0123 crit    the file of secrets for the route cookie holds something else;
 *              as 0121
 * 0124 crit    the route cookie has the name of the session cookie
 * 0125 error   reload: the file of secrets is bad, the old ones stay, or
 *              cookies are neither believed nor set
 * 0130 crit    shared memory for failures cannot be made
 * 0150 crit    members get private headers, and clients may send them
 * 0151 debug   private headers of a client are removed
 * 0152 debug   private trailers of a client are removed
 * 0140 crit    no shared memory to count sessions in
 * 0141 warning the directory for what outlives a stop cannot be made
 * 0142 warning the file of members that were taken out cannot be read
 * 0143 warning the file of members that were taken out makes no sense
 * 0144 info    start: members stand as they were asked to before
 * 0145 crit    no shared memory to remember members that were taken out
 * 0146 crit    ProxyCloneStateDir is no directory
 * 0201 debug   the decision for one request
 * 0202 debug   nobody may serve a request
 * 0203 trace1  a cookie or parameter is no session of the profile
 * 0204 debug   a member has failed a request that may go on elsewhere
 * 0250 warning a full member turns sessions away; now and then
 * 0251 info    a request found no place at its member, and why
 * 0400 info    start: what plugin-cfg.xml comes to
 * 0401 error   restart: plugin-cfg.xml is bad, what was accepted last goes on
 * 0402 warning something in plugin-cfg.xml is probably not meant so
 * 0403 info    something in plugin-cfg.xml is read in a certain way, or unused
 * 0404 crit    shared memory or a lock for plugin-cfg.xml cannot be made
 * 0405 error   a child will not see changes of plugin-cfg.xml
 * 0406 crit    a cluster of plugin-cfg.xml cannot be a balancer
 * 0407 warning https transports are not used: SSLProxyEngine is not On
 * 0408 warning https transports are not verified: SSLProxyVerify says nothing
 * 0409 debug   a child goes by a changed plugin-cfg.xml, too
 * 0410 notice  plugin-cfg.xml has changed and is in effect
 * 0411 error   plugin-cfg.xml has changed and is bad, or is gone
 * 0412 notice  plugin-cfg.xml is as it was accepted before
 * 0413 error   mod_proxy does not take an address of a changed plugin-cfg.xml
 * 0414 error   no room for a member that has come
 * 0415 error   no balancer in reserve for a cluster that has come
 * 0416 notice  a member has come
 * 0417 notice  a member has left
 * 0418 info    a member is set otherwise
 * 0419 error   a child cannot follow a changed plugin-cfg.xml
 * 0420 debug   which host and path of plugin-cfg.xml a request matches
 * 0421 info    a request is for a cluster without a balancer
 * 0422 info    a body is over the cluster's PostSizeLimit
 * 0210 trace1  a member sets or ends the session's cookie
 * 0240 info    a decision that ProxyCloneExplain asks for
 * 0241 crit    no random bytes for tags
 * 0211 debug   a clone id is learned from a member's answer
 * 0212 trace1  a route cookie is refused, and why
 * 0213 debug   a route cookie is set
 * 0300 warning an administrator took a member out, or back
 * 0301 warning the file of members that were taken out cannot be written
 * 0220 info    an attempt failed, and what is done; error: the client is told
 * 0222 warning a member is down
 * 0223 notice  a member that had failed answers again
 * 0224 warning a body cannot be written to a temporary file
 */

/*
 * mod_session_ha
 *
 * 0101 crit    mod_session is not loaded, or after mod_session_ha
 * 0102 crit    libmemcached is too old
 * 0103 crit    more replicas than nodes
 * 0104 crit    SameSite=None without Secure
 * 0105 crit    mod_session_crypto is to encrypt what would be stored in clear
 * 0106 crit    memcached servers without a file of secrets
 * 0107 crit    the file of secrets cannot be read; error: on a reload
 * 0108 crit    the file of secrets is readable by everybody; as 0107
 * 0109 crit    the file of secrets holds something else; as 0107
 * 0110 error   reload: the file of secrets is bad, the old ones stay, or
 *              nothing is loaded and saved
 * 0111 warning reload: the size of the memory stays until a full restart
 * 0112 crit    shared memory cannot be made
 * 0113 crit    the store cannot be made
 * 0114 info    start: sessions in shared memory
 * 0115 info    start: sessions on memcached servers
 * 0116 crit    the system gives no random bytes for a secret
 * 0117 crit    a child could not open the store
 * 0120 crit    more copies needed than there are
 * 0121 warning a directive does nothing without SessionHA On
 * 0122 crit    two directives name one header of answers
 * 0130 crit    SessionHAZone names a zone that no node is in
 * 0131 crit    SessionHAFarWrites async without SessionHAZone
 * 0140 warning another web server is set up otherwise
 * 0141 notice  it is set up like this one again
 * 0142 error   it is set up otherwise for long
 * 0143 notice  start: the list of nodes was another one
 * 0144 error   a child cannot work behind its requests
 * 0170 warning sessions go to another host in clear
 * 0171 error   the file of secrets has changed and is bad, the old ones stay
 * 0172 notice  the file of secrets has changed and is taken
 * 0173 warning the file of secrets changed too often without a restart
 * 0174 crit    shared memory for secrets cannot be made
 * 0175 notice  the file of secrets can be read now, by a restart
 * 0160 crit    a child cannot keep locks
 * 0210 error   a node drops sessions that are not over
 * 0211 notice  a node answers again
 * 0212 warning a node is down
 * 0213 warning a node was restarted and is empty
 * 0214 warning a node said something that makes no sense
 * 0215 warning a node was told to forget everything
 * 0220 warning changes for far copies are dropped
 * 0221 notice  far copies have caught up after drops
 * 0222 warning a child ends before nodes far or away took all changes
 * 0223 error   a child has no queue for far copies
 * 0230 warning no room to remember what a node misses
 * 0231 info    all that nodes are known to have missed is copied back
 * 0301 debug   a cookie was refused, and why
 * 0302 debug   a session was loaded
 * 0303 info    a genuine cookie finds no session
 * 0304 error   first request for whose session nobody could be asked
 * 0305 info    another such request
 * 0306 notice  sessions can be loaded again
 * 0307 error   mod_session_crypto's passphrase holds for this request
 * 0308 error   no random bytes
 * 0309 error   the session is too large for the application's header
 * 0401 error   a session could not be stored
 * 0402 error   a session is beyond a limit
 * 0403 debug   a session was stored
 * 0404 debug   a change came after the session had ended
 * 0405 error   the end of a session could not be stored
 * 0406 warning the end of a session is stored on some of the nodes
 * 0407 debug   a session ended
 * 0408 debug   a session's time to live was renewed
 * 0409 error   the session was changed after the answer had begun
 * 0410 warning first change that fewer nodes hold than it needs
 * 0411 info    another such change
 * 0412 notice  changes are on enough nodes again
 * 0413 warning a session is ahead of this host's clock
 * 0414 notice  no session is, any more
 * 0415 warning first session above 4 kB, 8 kB, and so on
 * 0420 debug   a session goes on under another id
 * 0421 error   a session could not be stored under another id
 * 0422 warning the end of an old id is stored on some nodes only
 * 0423 debug   a request came with an old id
 * 0424 warning the application asked for something unknown
 * 0425 error   the end of an old id could not be stored
 * 0430 error   the application's changes are malformed
 * 0431 error   the application's changes have no session to go to
 * 0432 debug   the application's changes were taken
 * 0440 error   a session is sealed by a secret that the file has not
 * 0441 notice  all sessions can be opened again
 * 0442 error   a session is in clear where that is not believed
 * 0433 warning a request waited in vain for another of its session
 * 0434 error   the nodes lost a request's lock, and so its changes
 */

#endif
