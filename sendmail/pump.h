/* -bs: the submit socket on standard input and output. */
#ifndef POSTERN_SENDMAIL_PUMP_H
#define POSTERN_SENDMAIL_PUMP_H

/* Bytes both ways between standard input and output and fd, which it closes,
 * until the gateway ends. Returns 0, or -1 with errno. */
int pump_run(int fd);

#endif
