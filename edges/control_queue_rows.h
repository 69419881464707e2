/* What comes back about mail and whatever else the queue keeps
 * (edges/control_all.h). */
#ifndef POSTERN_EDGES_CONTROL_QUEUE_ROWS_H
#define POSTERN_EDGES_CONTROL_QUEUE_ROWS_H

#include "lib/base/id.h"
#include "lib/ipc/channel.h"
#include "lib/mail/envelope.h"

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

/* Its word, for who reads and who filters. */
const char *rcpt_state_name(uint8_t state);

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
#define ROW_DESTINATION(F)                                            \
	F(str, destination, 4096) /* next hops; empty: a Maildir's */ \
	F(str, action, 64)                                            \
	F(u32, queued, UINT32_MAX) /* recipients that wait */         \
	F(u32, active, UINT32_MAX) /* works with agents */            \
	F(u32, window, UINT32_MAX) /* works it may have at once */    \
	F(u8, paused, 1)                                              \
	F(u64, backoff_ms, UINT64_MAX) /* rests for so long; 0: no */ \
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

#define ROW_BLOCK(F)                                         \
	F(str, network, 64)                                  \
	F(u8, allow, 1)                                      \
	F(u64, since_ms, UINT64_MAX)                         \
	F(u64, until_ms, UINT64_MAX) /* wall; 0: for ever */ \
	F(str, reason, 512)                                  \
	F(u32, uid, UINT32_MAX)
WIRE_DECLARE(row_block, ROW_BLOCK)

#define ROW_PAUSE(F)                         \
	F(u8, what, 2) /* enum pause_what */ \
	F(str, domain, 255)                  \
	F(u64, since_ms, UINT64_MAX)         \
	F(str, reason, 512)                  \
	F(u32, uid, UINT32_MAX)
WIRE_DECLARE(row_pause, ROW_PAUSE)

/* An administrator's change that can still be undone, or was of late. */
#define ROW_OPERATION(F)                                       \
	F(u64, operation, UINT64_MAX)                          \
	F(str, change, 32)                                     \
	F(u64, when_ms, UINT64_MAX)                            \
	F(u32, uid, UINT32_MAX)                                \
	F(u64, changed, UINT64_MAX)                            \
	F(u64, until_ms, UINT64_MAX) /* 0: cannot be undone */ \
	F(str, reason, 512)
WIRE_DECLARE(row_operation, ROW_OPERATION)

#define ROW_CONTENT(F) F(bin, bytes, CHANNEL_CONTENT_MAX)
WIRE_DECLARE(row_content, ROW_CONTENT)

#endif
