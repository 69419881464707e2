/* What comes back for an administrator's question (edges/control_all.h), but
 * for what the queue knows (edges/control_queue_rows.h). */
#ifndef POSTERN_EDGES_CONTROL_ROWS_H
#define POSTERN_EDGES_CONTROL_ROWS_H

#include "lib/base/id.h"
#include "lib/ipc/channel.h"
#include "lib/mail/envelope.h"

#define ROW_GATEWAY(F)               \
	F(str, version, 64)          \
	F(u32, pid, UINT32_MAX)      \
	F(u64, uptime_s, UINT64_MAX) \
	F(str, hostname, 255)        \
	F(u8, stopping, 1)
WIRE_DECLARE(row_gateway, ROW_GATEWAY)

#define ROW_PROCESS(F)                                   \
	F(str, role, 32)                                 \
	F(u16, instance, UINT16_MAX)                     \
	F(u32, pid, UINT32_MAX) /* 0: not running now */ \
	F(u64, uptime_s, UINT64_MAX)                     \
	F(u32, restarts, UINT32_MAX)                     \
	F(str, sandbox, 255)                             \
	F(u8, ready, 1) /* it has begun to work */
WIRE_DECLARE(row_process, ROW_PROCESS)

#define ROW_LISTENER(F)      \
	F(str, address, 108) \
	F(u16, port, 65535)  \
	F(u64, sessions, UINT64_MAX)
WIRE_DECLARE(row_listener, ROW_LISTENER)

/* process: whose number it is, as "smtpd/1"; empty: of all of them. Control
 * fills it in, and tells numbers by name. */
#define ROW_STAT(F)               \
	F(str, name, 128)         \
	F(u64, value, UINT64_MAX) \
	F(str, process, 32)
WIRE_DECLARE(row_stat, ROW_STAT)

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

/* One thing that a configuration has and another has not. */
enum diff_sign { DIFF_ADDED, DIFF_REMOVED, DIFF_CHANGED };

#define ROW_DIFF(F)                                                    \
	F(u8, sign, DIFF_CHANGED)                                      \
	F(str, where, 1100) /* "file:line", of the new one if there */ \
	F(str, text, 4096)  /* without secrets */
WIRE_DECLARE(row_diff, ROW_DIFF)

#define ROW_TABLE(F)                \
	F(str, name, 255)           \
	F(u64, entries, UINT64_MAX) \
	F(str, file, 1024) /* empty: in the configuration */
WIRE_DECLARE(row_table, ROW_TABLE)

/* What went over a session's connection, or what else was of note there. */
enum line_way { LINE_IN, LINE_OUT, LINE_NOTE };

#define ROW_LINE(F)                            \
	F(str, session, ID_LEN)                \
	F(str, client, 64)                     \
	F(u64, when_ms, UINT64_MAX) /* wall */ \
	F(u8, way, LINE_NOTE)                  \
	F(str, text, 1024) /* without its end, and no secrets */
WIRE_DECLARE(row_line, ROW_LINE)

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
#define ROW_RULE(F)                                                       \
	F(u32, line, UINT32_MAX)                                          \
	F(str, text, 4096)                                                \
	F(str, action, 64) /* empty: refused, with reply */               \
	F(str, reply, 1024)                                               \
	F(u8, verdict, 3)                       /* enum verdict_kind */   \
	F(u8, own_filters, 1)                   /* else the listener's */ \
	F(str, milters, 2048)                   /* names of its own */    \
	F(str, recipient, ENVELOPE_ADDRESS_MAX) /* empty: as asked */
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
