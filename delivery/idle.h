/* Connections kept for the next mail. */
#ifndef POSTERN_DELIVERY_IDLE_H
#define POSTERN_DELIVERY_IDLE_H

#include "delivery/conn.h"

enum { IDLE_MAX = 256 }; /* over all next hops */

/* Keeps c, which has no work; the one idle for longest is let go when there
 * are too many. It says QUIT by itself when its idle time is over. */
void idle_add(struct conn *c);
/* One to this place, as its policy wants it and from its source, idle no
 * longer; NULL: none. The one used last, so that those too many get old. */
struct conn *idle_take(const struct place *p);
/* Forgets c if it is idle. */
void idle_del(struct conn *c);
/* Says QUIT to all. */
void idle_quit_all(void);

#endif
