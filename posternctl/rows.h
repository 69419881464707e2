/* A listing of rows of one kind: asked for, framed, counted. */
#ifndef POSTERN_POSTERNCTL_ROWS_H
#define POSTERN_POSTERNCTL_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "posternctl/commands.h"
#include "posternctl/json.h"

struct rows {
	struct json j;
	struct buf line; /* for people: the one being made */
	uint64_t now_ms; /* wall, when it was asked */
	size_t n;        /* rows so far */
};

struct rows_kind {
	uint16_t ask, row; /* TYPE_ask_, TYPE_row_ */
	const void *msg;   /* of the question */
	/* One row: an object of the array; a line or more. */
	void (*json)(struct rows *r, const void *row);
	void (*text)(struct rows *r, const void *row);
	const char *title; /* the line above them, for people */
};

/* Returns an enum ctl_exit. */
int rows_show(const struct call *c, const struct rows_kind *kind);

#endif
