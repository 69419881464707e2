/*
 * Who may not, or always may, come in: the administrator's entries. Kept in
 * the spool (file `blocks'), told to every smtpd, gone by themselves when
 * their time is up.
 */
#ifndef POSTERN_QUEUE_BLOCK_LIST_H
#define POSTERN_QUEUE_BLOCK_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/str.h"
#include "lib/base/tree.h"
#include "lib/net/addr.h"
#include "queue/side_text.h"

enum { BLOCKS_MAX = 10000, BLOCK_REASON_MAX = 512 };

struct fault;
struct queue;
struct smtpd_peer;
struct timer;

struct block {
	RB_ENTRY(block) node;
	struct addr_net net;
	bool allow;
	uint64_t since_ms, until_ms; /* wall; until 0: for ever */
	uint32_t uid;                /* who said so */
	char reason[];
};

RB_HEAD(block_tree, block);

struct blocks {
	struct block_tree tree; /* by network */
	size_t n;
	struct timer *timer; /* the next end */
	struct side_list list;
};

void blocks_init(struct queue *q);
/* From the spool; a damaged file is set aside. Once the store is open. */
void blocks_load(struct queue *q);
/* All of them, to a smtpd that has just come. */
void blocks_tell_all(struct queue *q, struct smtpd_peer *p);

/* A new entry, which takes the place of one there was for this network; in
 * force at once, durable with the next blocks_save. -1: there are too many. */
int blocks_set(struct queue *q, const struct block *like, struct str reason);
/* -1: there is none for it. */
int blocks_del(struct queue *q, const struct addr_net *net);
/* The first one behind after (NULL: of all). */
const struct block *blocks_next(
    const struct blocks *b, const struct addr_net *after);
/* fn(ctx, NULL) when all that holds now is durable. */
void blocks_save(struct queue *q, side_file_fn *fn, void *ctx);
/* "192.0.2.0/24"; out holds 64. Returns out. */
const char *blocks_format_net(const struct addr_net *n, char out[static 64]);

#endif
