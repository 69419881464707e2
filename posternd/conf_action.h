/* An action while its statement runs: what conf_action.c and the files of its
 * kinds have in common. */
#ifndef POSTERN_POSTERND_CONF_ACTION_H
#define POSTERN_POSTERND_CONF_ACTION_H

#include "posternd/conf_parse.h"

struct conf_making {
	struct action action;
	const struct conf_keyword *kind; /* NULL: not said yet */
	bool has_to;
};

/* The action is of this kind (k->value); -1 after conf_error: it is of another
 * already. */
int conf_set_kind(
    struct conf_parser *p, const struct conf_keyword *k, struct conf_making *m);

/* Each into a struct conf_making. */
conf_parse_fn conf_set_to, conf_set_lmtp; /* conf_next.c */
conf_parse_fn conf_set_tls, conf_set_auth, conf_set_action_pki,
    conf_set_source;        /* conf_relay.c */
conf_parse_fn conf_set_mda; /* conf_mda.c */

/* A relay that is whole: do its options go together? -1 after conf_error. */
int conf_check_relay(struct conf_parser *p, const struct conf_making *m);
/* Is there what an mda runs? Warns if not. */
void conf_check_program(struct conf_parser *p, const struct action *a);
/* -1 after conf_error: the text has a %{...} that is none. */
int conf_check_variables(struct conf_parser *p, struct str text);

#endif
