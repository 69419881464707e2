/* What comes back for an administrator's question (edges/control_all.h). */
#ifndef POSTERN_EDGES_CONTROL_ROWS_H
#define POSTERN_EDGES_CONTROL_ROWS_H

#include "lib/base/id.h"
#include "lib/ipc/channel.h"
#include "lib/mail/envelope.h"

#define ROW_GATEWAY(F)               \
	F(str, version, 64)          \
	F(u32, pid, UINT32_MAX)      \
	F(u64, uptime_s, UINT64_MAX) \
	F(str, hostname, 255)
WIRE_DECLARE(row_gateway, ROW_GATEWAY)

#define ROW_PROCESS(F)                                   \
	F(str, role, 32)                                 \
	F(u16, instance, UINT16_MAX)                     \
	F(u32, pid, UINT32_MAX) /* 0: not running now */ \
	F(u64, uptime_s, UINT64_MAX)                     \
	F(u32, restarts, UINT32_MAX)                     \
	F(str, sandbox, 255)
WIRE_DECLARE(row_process, ROW_PROCESS)

#define ROW_LISTENER(F)      \
	F(str, address, 108) \
	F(u16, port, 65535)  \
	F(u64, sessions, UINT64_MAX)
WIRE_DECLARE(row_listener, ROW_LISTENER)

#define ROW_STAT(F)       \
	F(str, name, 128) \
	F(u64, value, UINT64_MAX)
WIRE_DECLARE(row_stat, ROW_STAT)

enum message_state {
	STATE_ACTIVE,
	STATE_DEFERRED,
	STATE_HELD,
	STATE_QUARANTINED
};

#define ROW_MESSAGE(F)                     \
	F(str, msgid, ID_LEN)              \
	F(u64, received_ms, UINT64_MAX)    \
	F(u64, size, UINT64_MAX)           \
	F(str, from, ENVELOPE_ADDRESS_MAX) \
	F(u8, state, STATE_QUARANTINED)    \
	F(u32, flags, ENVELOPE_FLAGS_ALL)  \
	F(str, client, 64)                 \
	F(str, client_name, 255)           \
	F(str, listener, 80)               \
	F(str, user, 255) /* who has authenticated, or empty */
WIRE_DECLARE(row_message, ROW_MESSAGE)

/* Of the row_message before. */
enum rcpt_state {
	RCPT_ACTIVE,
	RCPT_DEFERRED,
	RCPT_HELD,
	RCPT_DELIVERED,
	RCPT_BOUNCED,
	RCPT_REMOVED,
	RCPT_QUARANTINED
};

#define ROW_RCPT(F)                                                          \
	F(str, to, ENVELOPE_ADDRESS_MAX)                                     \
	F(u8, state, RCPT_QUARANTINED)                                       \
	F(str, action, 64)                                                   \
	F(u32, attempts, UINT32_MAX)                                         \
	F(u64, next_ms, UINT64_MAX) /* wall time of the next try, 0: none */ \
	F(str, reply, 600)          /* the last, with its code */            \
	F(str, relay, 320)
WIRE_DECLARE(row_rcpt, ROW_RCPT)

/* Where the queue's mail waits to go, or is going. */
#define ROW_DESTINATION(F)                                             \
	F(str, destination, 4096) /* next hops; empty: a Maildir's */  \
	F(str, action, 64)                                             \
	F(u32, queued, UINT32_MAX)     /* recipients that wait */      \
	F(u32, active, UINT32_MAX)     /* works with agents */         \
	F(u32, window, UINT32_MAX)     /* works it may have at once */ \
	F(u64, backoff_ms, UINT64_MAX) /* rests for so long; 0: no */  \
	F(str, reply, 600)             /* the last that put mail off */
WIRE_DECLARE(row_destination, ROW_DESTINATION)

/* A quarantined mail; its recipients follow. */
#define ROW_QUARANTINED(F)                 \
	F(str, msgid, ID_LEN)              \
	F(str, from, ENVELOPE_ADDRESS_MAX) \
	F(u64, size, UINT64_MAX)           \
	F(str, filter, 64)                 \
	F(str, reason, 600)                \
	F(u64, since_ms, UINT64_MAX)       \
	F(u64, expires_ms, UINT64_MAX) /* 0: never */
WIRE_DECLARE(row_quarantined, ROW_QUARANTINED)

#define ROW_EVENT(F)                \
	F(u64, when_ms, UINT64_MAX) \
	F(str, event, 32)           \
	F(str, text, 1024) /* key=value … */
WIRE_DECLARE(row_event, ROW_EVENT)

/* Of the lists in a row_milter: stages and verdicts in the order of their
 * enums (milters/client/milter.h), buckets as in lib/base/latency.h. */
enum { ROW_MILTER_STAGES = 7, ROW_MILTER_VERDICTS = 7 };

/* A filter, as one smtpd process knows it; numbers of several are added.
 * Lists are u64 or u32, little-endian. */
#define ROW_MILTER(F)                              \
	F(str, name, 64)                           \
	F(str, on_failure, 16)                     \
	F(u8, shadow, 1)                           \
	F(u8, after_queue, 1)                      \
	F(u8, state, 2) /* up, resting, probing */ \
	F(u32, sessions, UINT32_MAX)               \
	F(u64, connections, UINT64_MAX)            \
	F(u64, failures, UINT64_MAX)               \
	F(u64, skipped, UINT64_MAX)                \
	F(u64, compared, UINT64_MAX)               \
	F(u64, differed, UINT64_MAX)               \
	F(u64, edits, UINT64_MAX)                  \
	F(u32, version, UINT32_MAX)                \
	F(u32, actions, UINT32_MAX)                \
	F(u32, steps, UINT32_MAX)                  \
	F(bin, verdicts, 128) /* u64 each */       \
	F(bin, latency, 2048) /* u32 each: stages, of each its buckets */
WIRE_DECLARE(row_milter, ROW_MILTER)

#define ROW_MILTER_SOCKET(F)         \
	F(str, milter, 64)           \
	F(str, socket, 255)          \
	F(u8, state, 2)              \
	F(u32, sessions, UINT32_MAX) \
	F(u64, failures, UINT64_MAX) \
	F(str, fault, 200)
WIRE_DECLARE(row_milter_socket, ROW_MILTER_SOCKET)

#define ROW_SESSION(F)                                                        \
	F(str, session, ID_LEN)                                               \
	F(str, client, 64)                                                    \
	F(u16, port, 65535)                                                   \
	F(str, peer, 64) /* at the other end of the connection */             \
	F(str, listener, 80)                                                  \
	F(str, helo, 1024)                                                    \
	F(str, state, 32)                                                     \
	F(str, tls, 128)     /* "TLSv1.3 TLS_AES_256_GCM_SHA384", or empty */ \
	F(str, auth, 255)    /* who, or empty */                              \
	F(str, listed, 1024) /* DNS lists that have it */                     \
	F(u64, age_ms, UINT64_MAX)                                            \
	F(u32, messages, UINT32_MAX)                                          \
	F(u32, errors, UINT32_MAX)
WIRE_DECLARE(row_session, ROW_SESSION)

#define ROW_BLOCK(F)                                         \
	F(str, network, 64)                                  \
	F(u8, allow, 1)                                      \
	F(u64, since_ms, UINT64_MAX)                         \
	F(u64, until_ms, UINT64_MAX) /* wall; 0: for ever */ \
	F(str, reason, 512)                                  \
	F(u32, uid, UINT32_MAX)
WIRE_DECLARE(row_block, ROW_BLOCK)

#define ROW_CONTENT(F) F(bin, bytes, CHANNEL_CONTENT_MAX)
WIRE_DECLARE(row_content, ROW_CONTENT)

#define ROW_TEXT(F) F(str, text, 1024)
WIRE_DECLARE(row_text, ROW_TEXT)

#define ROW_RESOLVED(F)                                                     \
	F(str, name, 255) /* as asked, a reverse name for an address */     \
	F(str, type, 16)                                                    \
	F(str, status, 64) /* ok, nodata, nxdomain, or why there is none */ \
	F(u8, ad, 1)
WIRE_DECLARE(row_resolved, ROW_RESOLVED)

#define ROW_RECORD(F)             \
	F(u32, ttl_s, UINT32_MAX) \
	F(str, data, 4096)
WIRE_DECLARE(row_record, ROW_RECORD)

#define ROW_DNSSEC(F) \
	F(u8, on, 1)  \
	F(str, why, 400) /* when it is not on */
WIRE_DECLARE(row_dnssec, ROW_DNSSEC)

/* The rule that decides; line 0: none does. */
#define ROW_RULE(F)                                         \
	F(u32, line, UINT32_MAX)                            \
	F(str, text, 4096)                                  \
	F(str, action, 64) /* empty: refused, with reply */ \
	F(str, reply, 1024)
WIRE_DECLARE(row_rule, ROW_RULE)

#define ROW_PASSED(F)            \
	F(u32, line, UINT32_MAX) \
	F(str, why, 320)
WIRE_DECLARE(row_passed, ROW_PASSED)

/* In the order they would be tried. */
#define ROW_HOP(F)                                               \
	F(str, host, 1024)  /* name, or the path of a Maildir */ \
	F(str, address, 64) /* empty: none, why tells */         \
	F(u16, port, 65535)                                      \
	F(u16, preference, 65535)                                \
	F(str, tls, 16)                                          \
	F(str, why, 320)
WIRE_DECLARE(row_hop, ROW_HOP)

#endif
