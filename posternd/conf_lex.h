/* The words of postern.conf, each with its line. */
#ifndef POSTERN_POSTERND_CONF_LEX_H
#define POSTERN_POSTERND_CONF_LEX_H

#include <bsd/sys/queue.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/str.h"

enum conf_kind {
	CONF_WORD,
	CONF_STRING, /* quoted; text is without quotes */
	CONF_MACRO,  /* $name; text is the name, later its value */
	CONF_OPEN,
	CONF_CLOSE,
	CONF_COMMA,
	CONF_EQUALS,
	CONF_NOT,
	CONF_EOL, /* also inside braces, where the parser decides */
	CONF_END,
	CONF_BAD /* text says what is wrong */
};

struct conf_token {
	enum conf_kind kind;
	uint32_t line;
	struct str text; /* in the source or the pool */
};

/* Memory that lives as long as the parser: sources and unescaped strings. */
struct conf_chunk {
	SLIST_ENTRY(conf_chunk) next;
	size_t len;
	char data[];
};

SLIST_HEAD(conf_pool, conf_chunk);

/* len writable bytes that live until conf_pool_free. */
char *conf_pool_alloc(struct conf_pool *pool, size_t len);
void conf_pool_free(struct conf_pool *pool);

struct conf_lexer {
	struct str in; /* what is left */
	uint32_t line;
	struct conf_pool *pool;
};

/* in must live as long as the tokens. */
void conf_lex_init(struct conf_lexer *lx, struct str in, uint32_t line,
    struct conf_pool *pool);
/* The next token; CONF_END for ever at the end. After CONF_BAD it goes on
 * behind what it could not read. */
struct conf_token conf_lex_next(struct conf_lexer *lx);
/* How a token of that kind is called in messages. */
const char *conf_kind_text(enum conf_kind kind);

#endif
