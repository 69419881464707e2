/*
 * The flight recorder: what was said in a session, both ways, and what else
 * is worth a note, while it lasts; and for a while when it ended badly.
 *
 * What is not in it: content (how much there was), and secrets. Of AUTH there
 * is the mechanism; what stands behind it and every line until its last reply
 * is a mask, ours too. So is what comes behind AUTH, DATA and BDAT, refused or
 * not, until a line is a command beyond doubt; and from a line on that is none
 * but speaks of a password.
 */
#ifndef POSTERN_SMTPD_RECORDER_H
#define POSTERN_SMTPD_RECORDER_H

#include <stddef.h>

#include "lib/base/str.h"
#include "smtpd/recording.h"

struct session;
struct verb;

enum { RECORDER_KEPT_MAX = 4194304 /* bytes of sessions that are over */ };

/* A command line came: verb is its row, args what stands behind. */
void recorder_command(struct session *s, const struct verb *verb,
    struct str line, struct str args);
/* One that will be none: too long, or not of the protocol. */
void recorder_odd_line(struct session *s, struct str in);
/* A line of an AUTH exchange came. */
void recorder_secret(struct session *s);
/* A reply of one or more lines leaves, without the last CRLF. */
void recorder_reply(struct session *s, const char *reply);
void recorder_note(struct session *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The session is about to be in this state (enum session_state): a long wait
 * for others that ends with it gets a note. */
void recorder_state(struct session *s, unsigned int state);
/* It has ended: s->recording goes, or is kept when it ended badly. */
void recorder_end(struct session *s);

/* Of a session that is over and whose recording was kept: its client (NULL:
 * it is not known), and fn for each of its lines. */
const char *recorder_kept_client(struct str session);
void recorder_each_kept(struct str session, recording_fn *fn, void *ctx);
/* For tests: forgets those that are over; how much they take. */
void recorder_clear(void);
size_t recorder_kept_size(void);

#endif
