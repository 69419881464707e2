/* How long a session waits in each state, and what it says when that is over.
 */
#ifndef POSTERN_SMTPD_PATIENCE_H
#define POSTERN_SMTPD_PATIENCE_H

struct session;

/* The state was entered: its deadline. In SESSION_COMMAND the session ends here
 * when its time is up. */
void patience_begin(struct session *s);

/* For the table of states. */
void patience_command_over(struct session *s);
void patience_queue_over(struct session *s);
void patience_name_over(struct session *s);
void patience_lists_over(struct session *s);
void patience_filters_over(struct session *s);
void patience_delay_over(struct session *s);

#endif
