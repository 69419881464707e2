/* What a command is started with: its arguments and its environment. */
#ifndef POSTERN_MDA_EXPAND_H
#define POSTERN_MDA_EXPAND_H

#include "lib/base/buf.h"
#include "lib/base/fault.h"
#include "lib/base/str.h"

/* The user that we are. */
struct account {
	char *name, *home, *shell;
};

/* Asks the system, once; who has no entry is "nobody" in "/". */
void account_init(struct account *a);
void account_clear(struct account *a);

struct expand_values {
	struct str rcpt, sender; /* sender: empty for <> */
	struct str orcpt;        /* "type;address", or empty */
	struct str hostname;
};

/* Starts zeroed. */
struct expanded {
	char **argv, **envp; /* ended by NULL; they point into text */
	struct buf text;
};

/* The command's words with their values, and the environment: PATH, HOME,
 * USER, LOGNAME, SHELL, SENDER, RECIPIENT, LOCAL, DOMAIN, and
 * ORIGINAL_RECIPIENT when the sender's host has told it; nothing else. Returns
 * 0, or -1 with why, whose class is FAULT_OURS when the command is no good and
 * FAULT_PERM when it cannot be asked to deliver to this address. */
int expand(const char *command, const struct account *who,
    const struct expand_values *v, struct expanded *out, struct fault *why);
void expanded_clear(struct expanded *e);

#endif
