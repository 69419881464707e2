/*
 * What administrators changed of late: each operation has a number, which the
 * records of what it did carry. Kept in the spool (file `operations'), the
 * latest of them: an operation is there before anything of it is done. A line
 * is added for what changes, and all of it written anew now and then.
 */
#ifndef POSTERN_QUEUE_OPERATIONS_H
#define POSTERN_QUEUE_OPERATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edges/control_all.h"
#include "lib/base/str.h"
#include "lib/base/tree.h"

enum { OPERATIONS_MAX = 2000, OPERATION_REASON_MAX = 512 };

/* Behind those of enum change. */
enum { OPERATION_UNDO = CHANGE_RESCAN + 1, OPERATION_KINDS };

struct asking;
struct queue;

struct operation {
	RB_ENTRY(operation) node;
	uint64_t number;
	uint8_t kind;      /* enum change, or OPERATION_UNDO */
	bool running;      /* it is not through */
	bool undoing;      /* another one is at undoing it */
	uint64_t when_ms;  /* wall */
	uint32_t uid;      /* who did it */
	uint64_t changed;  /* messages */
	uint64_t of;       /* OPERATION_UNDO: of which */
	uint64_t undone;   /* by which; 0: it is not */
	struct str reason; /* in text */
	char text[];
};

RB_HEAD(operation_tree, operation);

struct operations {
	struct operation_tree tree; /* by number */
	size_t n;
	size_t room; /* lines that may be added to the file as it is */
};

void operations_init(struct queue *q);
/* From the spool; a damaged file is set aside. Once the store is open, before
 * its mail goes anywhere. */
void operations_load(struct queue *q);

/* A new one, of this kind, uid, of and reason. a waits, and is woken when it
 * is on disk, or cannot be. Returns its number. */
uint64_t operations_begin(
    struct queue *q, struct asking *a, const struct operation *like);
/* It is through. a waits likewise; NULL: nobody does. */
void operations_end(
    struct queue *q, struct asking *a, uint64_t number, uint64_t changed);

/* NULL: there is none, or it was too long ago. */
struct operation *operations_find(struct queue *q, uint64_t number);
/* The first one above this number, oldest first. */
const struct operation *operations_after(struct queue *q, uint64_t number);

const char *operation_name(uint8_t kind);
/* Is it one of a kind that can be undone? */
bool operation_is_undoable(uint8_t kind);
/* Until when it can be undone (wall); 0: it cannot, or not any more. */
uint64_t operation_until_ms(const struct queue *q, const struct operation *op);

#endif
