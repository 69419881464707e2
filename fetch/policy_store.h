/*
 * Policies on disk: one file for each domain, called like it, in the folder
 * that we were handed. Each is written whole under another name and renamed;
 * what is no whole file of ours is removed when it is read.
 */
#ifndef POSTERN_FETCH_POLICY_STORE_H
#define POSTERN_FETCH_POLICY_STORE_H

#include <stdint.h>

#include "edges/delivery_fetch.h"
#include "lib/base/str.h"

/* Views, the caller's or of what was read. */
struct stored_policy {
	struct str domain; /* A-labels, lower case */
	struct str id;
	uint64_t fetched_s; /* since 1970 */
	uint32_t max_age_s;
	enum sts_mode mode;
	struct str mxs;
};

/* dir is ours from now on; -1: nothing is kept. */
void policy_store_init(int dir);
/* fn with each that is there; it may put and delete. */
void policy_store_load(
    void (*fn)(void *ctx, const struct stored_policy *p), void *ctx);
/* 0, or -1 after a line in the log. */
int policy_store_put(const struct stored_policy *p);
/* Nothing happens when there is none. */
void policy_store_del(struct str domain);

#endif
