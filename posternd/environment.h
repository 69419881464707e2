/* What we inherit from whoever started us, made harmless. */
#ifndef POSTERN_POSTERND_ENVIRONMENT_H
#define POSTERN_POSTERND_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>

/* First of all: descriptors 0 to 2 are there and nothing above is but what is
 * spared (in rising order), the variables are gone, signals, umask and limits
 * are as we want them. With keep (in the foreground) the variables of debugging
 * tools go on to the children: LD_PRELOAD and the options of the sanitizers. */
void environment_clean(bool keep, const int *spared, size_t nspared);
/* Those that a program which follows in our place is given besides: name with
 * a number, and the service manager's. The caller frees it. */
char **environment_of_successor(const char *name, int number);
void environment_free(char **all);
/* Signals wait until somebody watches them; also those that end us. */
void environment_hold_signals(bool all);
void environment_release_signals(void);
/* The variables of the children; ended by NULL. */
char *const *environment_of_children(void);
/* As many descriptors as there may be; as root at least those wanted. Fewer
 * than needed get a warning. */
void environment_raise_nofile(unsigned long wanted, unsigned long needed);

/* As root: when memory runs out, the kernel ends others before the parent,
 * which all stand on, and before the queue. others: the score of these, when
 * an earlier program in our place has raised ours; else -1. */
void environment_protect(int others);
/* That score, for who follows us; -1: all have ours. */
int environment_others(void);
/* In a new process, which inherits the parent's protection: keeps some of
 * it, or gives it up. Safe after fork. */
void environment_inherit(bool is_protected);

#endif
