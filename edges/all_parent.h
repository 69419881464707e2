/*
 * all_parent: every process (A) and the parent (B).
 *
 * Setup: the parent hands over directories and the configuration (its own
 * word, which it has checked), then says what the child may have (tell_jail):
 * the child enters its jail, and only there takes sockets. tell_go ends the
 * setup; the child answers it with tell_ready.
 */
#ifndef POSTERN_EDGES_ALL_PARENT_H
#define POSTERN_EDGES_ALL_PARENT_H

#include "lib/ipc/channel.h"
#include "lib/rules/config.h"

/* --- parent to child, setup --- */

/* Into the jail. root: directory to chroot to; "/" itself: none. */
#define TELL_JAIL(F)                                                   \
	F(u8, change_root, 1) /* chroot to root and take uid, gid */   \
	F(u32, uid, UINT32_MAX)                                        \
	F(u32, gid, UINT32_MAX)                                        \
	F(bin, groups, 128) /* u32 each, little-endian: besides gid */ \
	F(u32, nofile, 1048576)                                        \
	F(u64, memory, UINT64_MAX) /* bytes, 0: unlimited */           \
	F(u8, log_sink, 1)         /* enum log_sink */                 \
	F(u8, log_json, 1)                                             \
	F(u8, log_level, 2)                                            \
	F(u32, parent_pid, UINT32_MAX)                                 \
	F(str, hostname, 255)                                          \
	F(fd, root, 0) /* always there; only used with change_root */
WIRE_DECLARE(tell_jail, TELL_JAIL)

/* A directory this process may work in: the spool (queue), the base of a
 * Maildir action (maildir). Comes before tell_jail. */
#define TELL_DIR(F)                                                   \
	F(u32, action,                                                \
	    UINT32_MAX) /* id of the action; the spool: UINT32_MAX */ \
	F(fd, dir, 0)
WIRE_DECLARE(tell_dir, TELL_DIR)

/* Begins a configuration; the conf_ messages up to tell_conf_end fill it. */
#define TELL_CONF(F)            \
	F(str, hostname, 255)   \
	F(str, domain, 255)     \
	F(str, postmaster, 320) \
	F(str, submit_path, 107)
WIRE_DECLARE(tell_conf, TELL_CONF)

#define TELL_CONF_NUMBERS(F)                                                 \
	F(u8, list, 2)              /* 0 limits, 1 queue, 2 deliver */       \
	F(u32, domains, UINT32_MAX) /* deliver: table id; all: UINT32_MAX */ \
	F(u64, set, UINT64_MAX)     /* deliver: bits */                      \
	F(bin, numbers, 1024)       /* the u64 fields of the list in order */
WIRE_DECLARE(tell_conf_numbers, TELL_CONF_NUMBERS)

#define TELL_CONF_RETRY(F) F(u32, seconds, UINT32_MAX)
WIRE_DECLARE(tell_conf_retry, TELL_CONF_RETRY)

/* A name server, in their order. */
#define TELL_CONF_SERVER(F)         \
	F(str, address, 64)         \
	F(u16, port, 65535)         \
	F(u32, timeout_ms, 3600000) \
	F(u8, trust_ad, 1)
WIRE_DECLARE(tell_conf_server, TELL_CONF_SERVER)

#define TELL_CONF_TABLE(F)                         \
	F(u32, id, UINT32_MAX) /* counts from 0 */ \
	F(str, name, 255)                          \
	F(fd, image, 0)
WIRE_DECLARE(tell_conf_table, TELL_CONF_TABLE)

/* A filter; its sockets follow. */
#define TELL_CONF_MILTER(F)                       \
	F(u32, id, UINT32_MAX)                    \
	F(u32, line, UINT32_MAX)                  \
	F(str, name, 64)                          \
	F(u8, on_failure, MILTER_FAIL_DISCONNECT) \
	F(u8, shadow, 1)                          \
	F(u8, lock_step, 1)                       \
	F(u8, after_queue, 1)                     \
	F(u64, connect_timeout, UINT64_MAX)       \
	F(u64, command_timeout, UINT64_MAX)       \
	F(u64, content_timeout, UINT64_MAX)       \
	F(u64, total_timeout, UINT64_MAX)         \
	F(u32, connections, UINT32_MAX)           \
	F(u32, failures, UINT32_MAX)              \
	F(u64, rest, UINT64_MAX)
WIRE_DECLARE(tell_conf_milter, TELL_CONF_MILTER)

/* One of path, host and address is set. */
#define TELL_CONF_MILTER_SOCKET(F) \
	F(str, text, 255)          \
	F(str, path, 107)          \
	F(str, host, 255)          \
	F(u8, ipv6, 1)             \
	F(str, address, 64)        \
	F(u16, port, 65535)
WIRE_DECLARE(tell_conf_milter_socket, TELL_CONF_MILTER_SOCKET)

/* A set of filters, in its order. */
#define TELL_CONF_MILTER_SET(F) \
	F(u32, id, UINT32_MAX)  \
	F(bin, members, 128) /* u32 each, little-endian: id, step */
WIRE_DECLARE(tell_conf_milter_set, TELL_CONF_MILTER_SET)

/* An identity; its certificates follow. */
#define TELL_CONF_PKI(F)         \
	F(u32, id, UINT32_MAX)   \
	F(u32, line, UINT32_MAX) \
	F(str, name, 64)
WIRE_DECLARE(tell_conf_pki, TELL_CONF_PKI)

#define TELL_CONF_CERT(F) F(bin, chain, CERT_CHAIN_MAX) /* PEM */
WIRE_DECLARE(tell_conf_cert, TELL_CONF_CERT)

/* Its private key, for the vault that has them and for nobody else. */
#define TELL_CONF_KEY(F)             \
	F(str, name, 255) /* file */ \
	F(fd, key, 0)
WIRE_DECLARE(tell_conf_key, TELL_CONF_KEY)

#define TELL_CONF_LISTENER(F)                                                  \
	F(u32, id, UINT32_MAX)                                                 \
	F(u32, line, UINT32_MAX)                                               \
	F(str, address, 64) /* text; empty: path */                            \
	F(u16, port, 65535)                                                    \
	F(str, path, 107)                                                      \
	F(str, hostname, 255)                                                  \
	F(str, tag, 64)                                                        \
	F(u64, max_size, UINT64_MAX)                                           \
	F(u32, milters, UINT32_MAX)         /* set id; none: UINT32_MAX */     \
	F(u32, no_milters_from, UINT32_MAX) /* table id; likewise */           \
	F(bin, pkis, 64)                    /* u32 each, little-endian: ids */ \
	F(u32, auth, UINT32_MAX)            /* table id; likewise */           \
	F(u32, senders, UINT32_MAX)                                            \
	F(u32, xclient_from, UINT32_MAX)                                       \
	F(u32, proxy_from, UINT32_MAX)                                         \
	F(u32, no_delay_for, UINT32_MAX)                                       \
	F(u64, greet_delay_ms, UINT64_MAX)                                     \
	F(u32, flags, UINT32_MAX)
WIRE_DECLARE(tell_conf_listener, TELL_CONF_LISTENER)

/* Of the listener before it. */
#define TELL_CONF_CLIENT_CA(F) F(bin, pem, CERT_CHAIN_MAX)
WIRE_DECLARE(tell_conf_client_ca, TELL_CONF_CLIENT_CA)

#define TELL_CONF_ACTION(F)                                         \
	F(u32, id, UINT32_MAX)                                      \
	F(u32, line, UINT32_MAX)                                    \
	F(str, name, 64)                                            \
	F(u8, kind, ACTION_DISCARD)                                 \
	F(str, hops, 4096)                                          \
	F(u32, routes, UINT32_MAX) /* table id; none: UINT32_MAX */ \
	F(u16, mx_port, 65535)                                      \
	F(u8, vrfy, 1)                                              \
	F(str, helo, 255)                                           \
	F(str, path, 1024)                                          \
	F(str, base, 1024)                                          \
	F(str, user, 64)                                            \
	F(u64, ttl_ms, UINT64_MAX)
WIRE_DECLARE(tell_conf_action, TELL_CONF_ACTION)

/* A rule; its conditions follow. */
#define TELL_CONF_RULE(F)                                          \
	F(u32, line, UINT32_MAX)                                   \
	F(str, text, 4096)                                         \
	F(u8, verdict, VERDICT_QUARANTINE)                         \
	F(u32, action, UINT32_MAX)                                 \
	F(str, reply, 1024)                                        \
	F(u32, milters, UINT32_MAX) /* set id; none: UINT32_MAX */ \
	F(u32, nconds, 64)
WIRE_DECLARE(tell_conf_rule, TELL_CONF_RULE)

#define TELL_CONF_COND(F)                                \
	F(u8, kind, COND_EARLY_TALKER)                   \
	F(u8, negate, 1)                                 \
	F(u32, table, UINT32_MAX) /* none: UINT32_MAX */ \
	F(str, text, 255)                                \
	F(u32, dnsbl, CONFIG_DNSBLS_MAX)                 \
	F(u32, score, UINT32_MAX) /* of an int32_t */
WIRE_DECLARE(tell_conf_cond, TELL_CONF_COND)

/* A table of DNS lists, in their order. */
#define TELL_CONF_DNSBL(F) F(u32, table, UINT32_MAX)
WIRE_DECLARE(tell_conf_dnsbl, TELL_CONF_DNSBL)

#define TELL_CONF_END(F)                                                       \
	F(u32, report_milters, UINT32_MAX)      /* set id; none: UINT32_MAX */ \
	F(u32, bare_newline_except, UINT32_MAX) /* table id; likewise */       \
	F(u32, allow_from, UINT32_MAX)                                         \
	F(u32, deny_from, UINT32_MAX)                                          \
	F(str, deny_reply, 1024)
WIRE_DECLARE(tell_conf_end, TELL_CONF_END)

/* The mapping of per-source counters, made by the parent, one column a
 * worker (smtpd); column is ours. */
#define TELL_SOURCES(F)     \
	F(u32, column, 255) \
	F(fd, map, 0)
WIRE_DECLARE(tell_sources, TELL_SOURCES)

/* The keys of TLS session tickets, the one in use first (smtpd; the same for
 * all of them, at each change). */
enum { TICKET_KEY_SIZE = 80, TICKET_KEYS_MAX = 3 };

#define TELL_TICKETS(F) F(bin, keys, TICKET_KEY_SIZE *TICKET_KEYS_MAX)
WIRE_DECLARE(tell_tickets, TELL_TICKETS)

/* A listening socket (smtpd; the control socket for control: id 0). */
#define TELL_LISTEN(F)                               \
	F(u32, id, UINT32_MAX) /* of the listener */ \
	F(fd, socket, 0)
WIRE_DECLARE(tell_listen, TELL_LISTEN)

/* Who may use the control socket (control). gid UINT32_MAX: no group. */
#define TELL_CONTROL_ACCESS(F)        \
	F(u32, owner_uid, UINT32_MAX) \
	F(u32, group_gid, UINT32_MAX) \
	F(u32, view_gid, UINT32_MAX)
WIRE_DECLARE(tell_control_access, TELL_CONTROL_ACCESS)

#define TELL_GO(F) WIRE_NOTHING(F)
WIRE_DECLARE(tell_go, TELL_GO)

/* --- parent to child, at any time --- */

/* A channel to another process; when there was one to the same role and
 * instance, that one is dead. */
#define TELL_PEER(F)                                \
	F(u8, role, 15) /* enum role of the peer */ \
	F(u16, instance, UINT16_MAX)                \
	F(fd, socket, 0)
WIRE_DECLARE(tell_peer, TELL_PEER)

#define TELL_LOG(F)     \
	F(u8, level, 2) \
	F(u8, sink, 1)  \
	F(fd, log, 0)
WIRE_DECLARE(tell_log, TELL_LOG)

/* Finish what is in progress, take nothing new, then exit; at once when ms
 * have passed. */
#define TELL_STOP(F) F(u32, grace_ms, 600000)
WIRE_DECLARE(tell_stop, TELL_STOP)

/* --- child to parent --- */

/* The jail holds; what of it, for `show status`. */
#define TELL_JAILED(F)       \
	F(str, sandbox, 255) \
	F(u64, edges, UINT64_MAX) /* edges_hash() as built there */
WIRE_DECLARE(tell_jailed, TELL_JAILED)

#define TELL_READY(F) WIRE_NOTHING(F)
WIRE_DECLARE(tell_ready, TELL_READY)

/* The configuration that came while it ran holds from now on. */
#define TELL_CONF_TAKEN(F) WIRE_NOTHING(F)
WIRE_DECLARE(tell_conf_taken, TELL_CONF_TAKEN)

/* Cannot go on; the last word before exit (start-up only). */
#define TELL_FAILED(F) F(str, text, 1024)
WIRE_DECLARE(tell_failed, TELL_FAILED)

/* M(name, direction, phases, once) */
/* clang-format off */
#define ALL_PARENT(M)                                                         \
	M(tell_dir,            EDGE_B_TO_A, PHASE_SETUP, 0)                   \
	M(tell_jail,           EDGE_B_TO_A, PHASE_SETUP, 1)                   \
	M(tell_conf,           EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_conf_numbers,   EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_conf_retry,     EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_conf_server,    EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_conf_table,     EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_conf_milter,    EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_conf_milter_socket, EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)   \
	M(tell_conf_milter_set, EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)      \
	M(tell_conf_pki,       EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_conf_cert,      EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_conf_key,       EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_conf_listener,  EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_conf_client_ca, EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_conf_dnsbl,     EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_conf_action,    EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_conf_rule,      EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_conf_cond,      EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_conf_end,       EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_sources,        EDGE_B_TO_A, PHASE_SETUP, 1)                   \
	M(tell_tickets,        EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_listen,         EDGE_B_TO_A, PHASE_SETUP, 0)                   \
	M(tell_control_access, EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_go,             EDGE_B_TO_A, PHASE_SETUP, 1)                   \
	M(tell_peer,           EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_log,            EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_stop,           EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_jailed,         EDGE_A_TO_B, PHASE_SETUP, 1)                   \
	M(tell_ready,          EDGE_A_TO_B, PHASE_SETUP, 1)                   \
	M(tell_conf_taken,     EDGE_A_TO_B, PHASE_RUN, 0)                     \
	M(tell_failed,         EDGE_A_TO_B, PHASE_SETUP, 1)
/* clang-format on */
EDGE_DECLARE(all_parent, ALL_PARENT)

#endif
