/* Messages to try the queue's parts with, without a store. */
#ifndef POSTERN_TESTS_UNIT_QUEUE_PARTS_H
#define POSTERN_TESTS_UNIT_QUEUE_PARTS_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "queue/index.h"
#include "tests/unit/queue/running.h"

/* A message of n recipients r0@domain … whose action is `action`. */
static inline struct entry *
part_entry(struct index *ix, uint64_t seq, uint32_t n, const char *domain,
    const char *action)
{
	struct mail_rcpt rcpts[64];
	char id[ID_LEN + 1], to[64][64];
	struct mail_record m = {
		.seq = seq,
		.from = STR("from@sender.example"),
		.client = STR("192.0.2.7"),
		.client_name = STR("client.example"),
		.listener = STR("127.0.0.1:25"),
		.received_ms = 1000,
		.rcpts = rcpts,
		.nrcpt = n,
		.header_size = 10,
		.body_size = 20,
	};

	snprintf(id, sizeof(id), "%016llu", (unsigned long long)seq);
	m.msgid = str_of(id);
	ck_assert_uint_le(n, 64);
	for (uint32_t i = 0; i < n; i++) {
		snprintf(to[i], sizeof(to[i]), "r%u@%s", i, domain);
		rcpts[i] = (struct mail_rcpt){ .to = str_of(to[i]),
			.action = str_of(action) };
	}
	return index_add(ix, &m, 5000);
}

#define PART_RUN(name, tests) TESTS_RUN((name), (tests), NULL, NULL, 120)

#endif
