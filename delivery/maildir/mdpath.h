/* From an action's template and a recipient to a path below its base. */
#ifndef POSTERN_MAILDIR_MDPATH_H
#define POSTERN_MAILDIR_MDPATH_H

#include "lib/base/buf.h"
#include "lib/base/str.h"

enum {
	MDPATH_MAX = 4096,
	MDPATH_NAME_MAX = 255 /* of one component */
};

struct mdpath_values {
	struct str rcpt, sender, hostname;
};

/* Puts the template with its values into out: a relative path, empty for
 * the base itself, whose components are never empty, "." or "..". A value
 * must not hold a slash or a control character. Returns 0, or -1 with why in
 * *why (a constant). */
int mdpath_expand(struct str template, const struct mdpath_values *v,
    struct buf *out, const char **why);

/* Opens the directory path below base, making what is missing (0700, synced)
 * on the way; never follows a symbolic link, never leaves base. Returns a
 * descriptor, or -1 with errno. */
int mdpath_open(int base, const char *path);
/* One component below dir, as above. */
int mdpath_open_one(int dir, const char *name);

#endif
