/*
 * The processes that ask, and what each of them waits for: jobs that take a
 * while run one behind the other in turns, a few in each round of the loop, so
 * that nobody's waits for all of somebody else's, and the channels are read
 * between.
 */
#ifndef POSTERN_VAULT_ASKERS_H
#define POSTERN_VAULT_ASKERS_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edges/edges.h"
#include "lib/base/loop.h"
#include "lib/base/str.h"
#include "lib/ipc/channel.h"

enum { JOB_PARTS = 3 };

/* A question that was put off; wiped when it is done. */
struct job {
	STAILQ_ENTRY(job) next;
	uint64_t id; /* of the question */
	/* Does it, and answers on ch. */
	void (*run)(struct channel *ch, const struct job *j);
	uint8_t scheme;
	struct str parts[JOB_PARTS]; /* views of bytes */
	size_t size;
	char bytes[];
};

struct asker {
	TAILQ_ENTRY(asker) next;
	enum role role;
	uint16_t instance;
	struct channel *channel;
	STAILQ_HEAD(, job) jobs;
	size_t njobs;
};

/* How much there is to do in one go. */
struct askers_limits {
	size_t jobs;     /* that wait, of all together; each has a few */
	size_t in_round; /* done in one round */
};

/* Those of a role: how they talk; the handlers' context is the struct asker. */
struct asker_kind {
	enum role role;
	const struct edge *edge;
	const struct handler *handlers;
};

/* Before everything else. */
void askers_init(struct loop *l, struct askers_limits limits);
/* A channel over socket (taken) to this one. One there was before is dead. */
struct channel *askers_add(
    const struct asker_kind *kind, uint16_t instance, int socket);
/* Puts a question off: the parts are copied; run is called later, unless the
 * asker is gone. False: too many of its own wait already. */
bool askers_put_off(struct asker *a, const struct job *like);
/* Answers a question. Who does not read its answers is not heard meanwhile. */
void askers_answer(
    struct channel *ch, uint16_t type, const void *msg, uint64_t id);
/* Forgets all. */
void askers_clear(void);

#endif
