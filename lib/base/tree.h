/* Red-black trees of <bsd/sys/tree.h>, with the one form we use. */
#ifndef POSTERN_BASE_TREE_H
#define POSTERN_BASE_TREE_H

#include <bsd/sys/tree.h>

/* The functions of a tree, private to the file; those not called cost
 * nothing. (libbsd's RB_GENERATE_STATIC leans on a __unused that glibc's
 * headers use as a name.) */
#define TREE_DEFINE(name, type, field, cmp) \
	RB_GENERATE_INTERNAL(               \
	    name, type, field, cmp, __attribute__((__unused__)) static)

#endif
