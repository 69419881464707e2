/* What is known, as Prometheus reads it (text format 0.0.4). */
#ifndef POSTERN_WEB_METRICS_H
#define POSTERN_WEB_METRICS_H

#include "lib/base/buf.h"
#include "web/view.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum { METRICS_BYTES_MAX = 8 << 20 };

void metrics_format(const struct view *v, struct buf *out);

#endif
