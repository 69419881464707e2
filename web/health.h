/* Whether it lives, and whether it takes mail. */
#ifndef POSTERN_WEB_HEALTH_H
#define POSTERN_WEB_HEALTH_H

#include <stdbool.h>

#include "lib/base/buf.h"
#include "web/view.h"

/* Both: is it? out: a line that says so, or one for each reason why not. */
bool health_is_alive(const struct view *v, struct buf *out);
bool health_is_ready(const struct view *v, struct buf *out);

#endif
