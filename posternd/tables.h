/* Tables as the configuration knows them: from lists and files into sealed
 * memfds, and what each may be used for. */
#ifndef POSTERN_POSTERND_TABLES_H
#define POSTERN_POSTERND_TABLES_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/rules/table.h"
#include "posternd/table_uses.h"

/* A byte order mark: some editors begin files with one. */
#define CONF_BOM STR("\xef\xbb\xbf")

struct conf_table {
	STAILQ_ENTRY(conf_table) next;
	char *name;
	uint64_t digest;  /* of the keys in their order */
	const char *file; /* where it is defined; not owned */
	char *entries;    /* the file with its entries; NULL: none */
	uint32_t line;
	uint64_t order;
	bool named;              /* not one made of a literal */
	bool used;               /* by any statement */
	bool everywhere;         /* has a network of zero bits: any client */
	bool scram;              /* a value is a secret for SCRAM */
	bool readable;           /* by everybody, where its values stand */
	bool secret;             /* its values are for the vault alone */
	const char *valued;      /* what needs its values; NULL: nothing */
	char *unfit[TABLE_USES]; /* the first entry that does not fit; owned */
	struct table_builder *builder; /* NULL once sealed */
	size_t id;                     /* the configuration's */
	struct table *table;           /* once sealed; the configuration's */
};

STAILQ_HEAD(conf_tables, conf_table);

struct conf_table *conf_table_new(const char *name);
void conf_table_free(struct conf_table **t);
/* One entry that stands in file at line; value NULL: none. A key in another
 * script can be found with its domain in A-labels, too. */
int conf_table_add(struct conf_table *t, struct str key, const char *value,
    const char *file, uint32_t line, struct fault *why);
/* Called for each thing wrong in a table file; line 0: with all of it. */
typedef void table_error_fn(
    void *ctx, const char *file, uint32_t line, const char *what);
/* All entries of a file: a key, or a key and a value, per line. */
void conf_table_read(struct conf_table *t, const char *path,
    table_error_fn *on_error, void *ctx);
/* Ends the building: t->table is open, *fd its sealed memfd. 0/-1 */
int conf_table_seal(struct conf_table *t, int *fd, struct fault *why);

/* From here on t->table has the keys alone, for whoever points at it: *fd is
 * their sealed memfd, beside the one that conf_table_seal made. 0/-1 */
int conf_table_hide(struct conf_table *t, int *fd, struct fault *why);

/* Where in s the hash of a password begins; its length when there is none.
 * Messages end there. */
size_t conf_hash_at(struct str s);

/* Opens a file of the configuration: regular (or a pipe), not writable by
 * everybody. The descriptor, or -1 with why. */
int conf_file_open(const char *path, struct fault *why);

#endif
