/* A row_event, as text and as JSON. */
#ifndef POSTERN_POSTERNCTL_EVENT_VIEW_H
#define POSTERN_POSTERNCTL_EVENT_VIEW_H

#include "edges/control_all.h"
#include "posternctl/json.h"

/* {"time","event", and a key for each key=value of its text}. */
void event_json(struct json *j, const struct row_event *row);
/* One line, appended to out. */
void event_text(struct buf *out, const struct row_event *row);

#endif
