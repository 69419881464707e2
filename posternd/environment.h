/* What we inherit from whoever started us, made harmless. */
#ifndef POSTERN_POSTERND_ENVIRONMENT_H
#define POSTERN_POSTERND_ENVIRONMENT_H

#include <stdbool.h>

/* First of all: descriptors 0 to 2 are there and nothing above is, the
 * variables are gone, signals, umask and limits are as we want them. With
 * keep (in the foreground) the variables of debugging tools go on to the
 * children: LD_PRELOAD and the options of the sanitizers. */
void environment_clean(bool keep);
/* The variables of the children; ended by NULL. */
char *const *environment_of_children(void);
/* As many descriptors as there may be; as root at least those wanted. Fewer
 * than needed get a warning. */
void environment_raise_nofile(unsigned long wanted, unsigned long needed);

/* As root: when memory runs out, the kernel ends others before the parent,
 * which all stand on, and before the queue. */
void environment_protect(void);
/* In a new process, which inherits the parent's protection: keeps some of
 * it, or gives it up. Safe after fork. */
void environment_inherit(bool is_protected);

#endif
