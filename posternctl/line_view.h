/* A row_line, as text and as JSON. */
#ifndef POSTERN_POSTERNCTL_LINE_VIEW_H
#define POSTERN_POSTERNCTL_LINE_VIEW_H

#include "edges/control_all.h"
#include "posternctl/json.h"

/* {"session","client","time","way","text"}; "way" is "in", "out", "note". */
void line_json(struct json *j, const struct row_line *row);
/* "< text": what the client said; '>': what it was told; '-': a note. */
void line_text(struct buf *out, const struct row_line *row);

#endif
