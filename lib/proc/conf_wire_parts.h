/*
 * The parts of a configuration on the wire, for the conf_wire files: of each
 * its writer (send, 0/-1) and its readers (take, 0, or -1 for nonsense).
 */
#ifndef POSTERN_PROC_CONF_WIRE_PARTS_H
#define POSTERN_PROC_CONF_WIRE_PARTS_H

#include "lib/proc/conf_wire.h"

/* The id of a table, action or set that is not there. */
#define NO_ID UINT32_MAX

/* --- help: conf_wire.c --- */

/* An optional text: empty on the wire, NULL here. */
char *part_text_or_null(struct str s);
uint32_t part_table_id(const struct config *c, const struct table *t);
/* The table of an id, NULL for NO_ID. Returns -1 when there is none. */
int part_table_of(const struct config *c, uint32_t id, struct table **out);
/* Room for one more element of an array, zeroed; arrays grow by doubling
 * (their capacity is the next power of two). */
void *part_one_more(void *array, size_t n, size_t size);

/* --- numbers: conf_wire_numbers.c --- */

int part_send_numbers(struct channel *ch, const struct config *c);
int part_send_retries(struct channel *ch, const struct config *c);
int part_send_delivers(struct channel *ch, const struct config *c);
int part_take_numbers(struct config *c, const void *msg);
int part_take_retry(struct config *c, const void *msg);

/* --- filters: conf_wire_milters.c --- */

int part_send_milters(struct channel *ch, const struct config *c);
int part_send_sets(struct channel *ch, const struct config *c);
int part_take_milter(struct config *c, const void *msg);
int part_take_socket(struct config *c, const void *msg);
int part_take_set(struct config *c, const void *msg);
/* Has the last filter a socket? Nobody could ask it else. */
bool part_has_all_sockets(const struct config *c);
uint32_t part_set_id(const struct milter_set *s);
/* The set of an id, NULL for NO_ID. Returns -1 when there is none. */
int part_set_of(
    const struct config *c, uint32_t id, const struct milter_set **out);

/* --- certificates, DNS lists, listeners: conf_wire_front.c --- */

int part_send_pkis(
    struct channel *ch, const struct config *c, enum conf_secrets secrets);
int part_send_dnsbls(struct channel *ch, const struct config *c);
int part_send_listeners(struct channel *ch, const struct config *c);
int part_take_pki(struct config *c, const void *msg);
int part_take_cert(struct config *c, const void *msg);
/* Has the last identity a certificate? Nobody could use it else. */
bool part_has_all_certs(const struct config *c);
int part_take_dnsbl(struct config *c, const void *msg);
int part_take_listener(struct config *c, const void *msg);
int part_take_client_ca(struct config *c, const void *msg);

#endif
