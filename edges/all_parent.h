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

#include "edges/parent_conf.h"
#include "lib/ipc/channel.h"

/* --- parent to child, setup --- */

/* Into the jail. root: directory to chroot to; "/" itself: none. */
#define TELL_JAIL(F)                                                   \
	F(u8, change_root, 1) /* chroot to root and take uid, gid */   \
	F(u32, uid, UINT32_MAX)                                        \
	F(u32, gid, UINT32_MAX)                                        \
	F(bin, groups, 128) /* u32 each, little-endian: besides gid */ \
	F(u32, nofile, 1048576)                                        \
	F(u64, memory, UINT64_MAX) /* bytes, 0: unlimited */           \
	F(u8, log_sink, 2)         /* enum log_sink */                 \
	F(u8, log_json, 1)                                             \
	F(u8, log_level, 2)                                            \
	F(u32, parent_pid, UINT32_MAX)                                 \
	F(str, hostname, 255)                                          \
	F(fd, root, 0) /* always there; only used with change_root */
WIRE_DECLARE(tell_jail, TELL_JAIL)

/* A directory this process may work in: the spool (queue), its folder of
 * policies (fetch), the base of a Maildir action (maildir). Comes before
 * tell_jail. */
#define TELL_DIR(F)                                                        \
	F(u32, action, UINT32_MAX) /* id of the action; else UINT32_MAX */ \
	F(fd, dir, 0)
WIRE_DECLARE(tell_dir, TELL_DIR)

/* The mapping of per-source counters, made by the parent, one column a
 * worker (smtpd); column is ours. */
#define TELL_SOURCES(F)     \
	F(u32, column, 255) \
	F(fd, map, 0)
WIRE_DECLARE(tell_sources, TELL_SOURCES)

/* The keys of TLS session tickets, the one in use first (smtpd; the same for
 * all of them, at each change). */
enum {
	TICKET_KEY_SIZE = 80,
	TICKET_KEYS_MAX = 3,
	TICKETS_SIZE = TICKET_KEY_SIZE * TICKET_KEYS_MAX
};

#define TELL_TICKETS(F) F(bin, keys, TICKETS_SIZE)
WIRE_DECLARE(tell_tickets, TELL_TICKETS)

/* Certificates of the authorities that are trusted (PEM), opened for reading;
 * delivery and fetch get it, and anew with each configuration. */
#define TELL_AUTHORITIES(F) F(fd, file, 0)
WIRE_DECLARE(tell_authorities, TELL_AUTHORITIES)

/* A listening socket (smtpd; the control socket for control, that of `http'
 * for web: id 0). smtpd gets all of them again before each configuration that
 * comes while it runs: they are the listeners of that one, and it gives up
 * those it had. */
#define TELL_LISTEN(F)                                              \
	F(u32, id, UINT32_MAX) /* of the listener; LISTEN_LEFT.. */ \
	F(fd, socket, 0)
/* smtpd: of none any more, after a restart in place; who waits there is to be
 * told to come back, or, where he expects TLS, turned away without a word. */
#define LISTEN_LEFT       UINT32_MAX
#define LISTEN_LEFT_SMTPS (UINT32_MAX - 1)
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
 * instance, that one is dead. number: which one this is between these two. */
#define TELL_PEER(F)                                \
	F(u8, role, 15) /* enum role of the peer */ \
	F(u16, instance, UINT16_MAX)                \
	F(u32, number, UINT32_MAX)                  \
	F(fd, socket, 0)
WIRE_DECLARE(tell_peer, TELL_PEER)

#define TELL_LOG(F)           \
	F(u8, level, 2)       \
	F(u8, sink, 2)        \
	F(u8, json, 1)        \
	F(str, hostname, 255) \
	F(fd, log, 0)
WIRE_DECLARE(tell_log, TELL_LOG)

/* Finish what is in progress, take nothing new, then exit; at once when ms
 * have passed. */
#define TELL_STOP(F) F(u32, grace_ms, 600000)
WIRE_DECLARE(tell_stop, TELL_STOP)

/* smtpd: somebody else accepts from now on. Finish the sessions there are, as
 * long as they like but for ms, then exit. */
#define TELL_RETIRE(F) F(u32, grace_ms, 86400000)
WIRE_DECLARE(tell_retire, TELL_RETIRE)

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

/* smtpd: nothing comes in here any more, and what it asked the former queue
 * has been answered. */
#define TELL_RETIRED(F) WIRE_NOTHING(F)
WIRE_DECLARE(tell_retired, TELL_RETIRED)

/* The channel of this tell_peer has ended. When both processes live they get
 * a new one. */
#define TELL_LOST(F)                 \
	F(u8, role, 15)              \
	F(u16, instance, UINT16_MAX) \
	F(u32, number, UINT32_MAX)
WIRE_DECLARE(tell_lost, TELL_LOST)

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
	M(tell_conf_tls_reports, EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)     \
	M(tell_sources,        EDGE_B_TO_A, PHASE_SETUP, 1)                   \
	M(tell_tickets,        EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_authorities,    EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_listen,         EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_control_access, EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_go,             EDGE_B_TO_A, PHASE_SETUP, 1)                   \
	M(tell_peer,           EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_log,            EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_stop,           EDGE_B_TO_A, PHASE_SETUP | PHASE_RUN, 0)       \
	M(tell_retire,         EDGE_B_TO_A, PHASE_RUN, 0)                     \
	M(tell_jailed,         EDGE_A_TO_B, PHASE_SETUP, 1)                   \
	M(tell_ready,          EDGE_A_TO_B, PHASE_SETUP, 1)                   \
	M(tell_conf_taken,     EDGE_A_TO_B, PHASE_RUN, 0)                     \
	M(tell_failed,         EDGE_A_TO_B, PHASE_SETUP, 1)                   \
	M(tell_retired,        EDGE_A_TO_B, PHASE_RUN, 0)                     \
	M(tell_lost,           EDGE_A_TO_B, PHASE_RUN, 0)
/* clang-format on */
EDGE_DECLARE(all_parent, ALL_PARENT)

#endif
