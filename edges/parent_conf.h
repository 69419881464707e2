/* A configuration as the parent hands it over: the conf_ messages of
 * all_parent.h. */
#ifndef POSTERN_EDGES_PARENT_CONF_H
#define POSTERN_EDGES_PARENT_CONF_H

#include "lib/ipc/channel.h"
#include "lib/rules/config.h"

/* Begins a configuration; the conf_ messages up to tell_conf_end fill it. */
#define TELL_CONF(F)               \
	F(str, hostname, 255)      \
	F(str, domain, 255)        \
	F(str, postmaster, 320)    \
	F(str, submit_path, 107)   \
	F(str, dnssec_signed, 255) \
	F(str, dnssec_bogus, 255)
WIRE_DECLARE(tell_conf, TELL_CONF)

#define TELL_CONF_NUMBERS(F)                                                 \
	F(u8, list, 2)              /* 0 limits, 1 queue, 2 deliver */       \
	F(u32, domains, UINT32_MAX) /* deliver: table id; all: UINT32_MAX */ \
	F(u64, set, UINT64_MAX)     /* deliver: bits */                      \
	F(bin, numbers, 1024)       /* the u64 fields of the list in order */
WIRE_DECLARE(tell_conf_numbers, TELL_CONF_NUMBERS)

#define TELL_CONF_RETRY(F) F(u32, seconds, UINT32_MAX)
WIRE_DECLARE(tell_conf_retry, TELL_CONF_RETRY)

/* A name server, in their order. */
#define TELL_CONF_SERVER(F)         \
	F(str, address, 64)         \
	F(u16, port, 65535)         \
	F(u32, timeout_ms, 3600000) \
	F(u8, trust_ad, 1)
WIRE_DECLARE(tell_conf_server, TELL_CONF_SERVER)

#define TELL_CONF_TABLE(F)                         \
	F(u32, id, UINT32_MAX) /* counts from 0 */ \
	F(str, name, 255)                          \
	F(fd, image, 0)
WIRE_DECLARE(tell_conf_table, TELL_CONF_TABLE)

/* A filter; its sockets follow. */
#define TELL_CONF_MILTER(F)                       \
	F(u32, id, UINT32_MAX)                    \
	F(u32, line, UINT32_MAX)                  \
	F(str, name, 64)                          \
	F(u8, on_failure, MILTER_FAIL_DISCONNECT) \
	F(u8, shadow, 1)                          \
	F(u8, lock_step, 1)                       \
	F(u8, after_queue, 1)                     \
	F(u64, connect_timeout, UINT64_MAX)       \
	F(u64, command_timeout, UINT64_MAX)       \
	F(u64, content_timeout, UINT64_MAX)       \
	F(u64, total_timeout, UINT64_MAX)         \
	F(u32, connections, UINT32_MAX)           \
	F(u32, failures, UINT32_MAX)              \
	F(u64, rest, UINT64_MAX)
WIRE_DECLARE(tell_conf_milter, TELL_CONF_MILTER)

/* One of path, host and address is set. */
#define TELL_CONF_MILTER_SOCKET(F) \
	F(str, text, 255)          \
	F(str, path, 107)          \
	F(str, host, 255)          \
	F(u8, ipv6, 1)             \
	F(str, address, 64)        \
	F(u16, port, 65535)
WIRE_DECLARE(tell_conf_milter_socket, TELL_CONF_MILTER_SOCKET)

/* A set of filters, in its order. */
#define TELL_CONF_MILTER_SET(F) \
	F(u32, id, UINT32_MAX)  \
	F(bin, members, 128) /* u32 each, little-endian: id, step */
WIRE_DECLARE(tell_conf_milter_set, TELL_CONF_MILTER_SET)

/* An identity; its certificates follow. */
#define TELL_CONF_PKI(F)         \
	F(u32, id, UINT32_MAX)   \
	F(u32, line, UINT32_MAX) \
	F(str, name, 64)
WIRE_DECLARE(tell_conf_pki, TELL_CONF_PKI)

#define TELL_CONF_CERT(F) F(bin, chain, CERT_CHAIN_MAX) /* PEM */
WIRE_DECLARE(tell_conf_cert, TELL_CONF_CERT)

/* Its private key, for the vault that has them and for nobody else. */
#define TELL_CONF_KEY(F)             \
	F(str, name, 255) /* file */ \
	F(fd, key, 0)
WIRE_DECLARE(tell_conf_key, TELL_CONF_KEY)

#define TELL_CONF_LISTENER(F)                                                  \
	F(u32, id, UINT32_MAX)                                                 \
	F(u32, line, UINT32_MAX)                                               \
	F(u32, slot, 255)   /* of SOURCES_LISTENERS_MAX */                     \
	F(str, address, 64) /* text; empty: path */                            \
	F(u16, port, 65535)                                                    \
	F(str, path, 107)                                                      \
	F(str, hostname, 255)                                                  \
	F(str, tag, 64)                                                        \
	F(u64, max_size, UINT64_MAX)                                           \
	F(u32, milters, UINT32_MAX)         /* set id; none: UINT32_MAX */     \
	F(u32, no_milters_from, UINT32_MAX) /* table id; likewise */           \
	F(bin, pkis, 64)                    /* u32 each, little-endian: ids */ \
	F(u32, auth, UINT32_MAX)            /* table id; likewise */           \
	F(u32, senders, UINT32_MAX)                                            \
	F(u32, xclient_from, UINT32_MAX)                                       \
	F(u32, proxy_from, UINT32_MAX)                                         \
	F(u32, no_delay_for, UINT32_MAX)                                       \
	F(u64, greet_delay_ms, UINT64_MAX)                                     \
	F(u32, flags, UINT32_MAX)
WIRE_DECLARE(tell_conf_listener, TELL_CONF_LISTENER)

/* Of the listener before it. */
#define TELL_CONF_CLIENT_CA(F) F(bin, pem, CERT_CHAIN_MAX)
WIRE_DECLARE(tell_conf_client_ca, TELL_CONF_CLIENT_CA)

#define TELL_CONF_ACTION(F)                                          \
	F(u32, id, UINT32_MAX)                                       \
	F(u32, line, UINT32_MAX)                                     \
	F(str, name, 64)                                             \
	F(u8, kind, ACTION_DISCARD)                                  \
	F(str, hops, 4096)                                           \
	F(u32, routes, UINT32_MAX) /* table id; none: UINT32_MAX */  \
	F(u16, mx_port, 65535)                                       \
	F(u8, vrfy, 1)                                               \
	F(str, helo, 255)                                            \
	F(str, path, 1024)                                           \
	F(str, base, 1024)                                           \
	F(str, user, 64)                                             \
	F(u64, ttl_ms, UINT64_MAX)                                   \
	F(u8, tls, ACTION_TLS_ALL)                                   \
	F(u32, auth, UINT32_MAX) /* table id; likewise */            \
	F(str, auth_label, 255)                                      \
	F(u32, pki, UINT32_MAX) /* id; likewise */                   \
	F(bin, sources, 272)    /* struct addr, as 17 bytes: family, \
				 * address */                        \
	F(str, command, 1024)                                        \
	F(u64, timeout_ms, UINT64_MAX)
WIRE_DECLARE(tell_conf_action, TELL_CONF_ACTION)

/* A rule; its conditions follow. */
#define TELL_CONF_RULE(F)                                          \
	F(u32, line, UINT32_MAX)                                   \
	F(str, text, 4096)                                         \
	F(u8, verdict, VERDICT_QUARANTINE)                         \
	F(u32, action, UINT32_MAX)                                 \
	F(str, reply, 1024)                                        \
	F(u32, milters, UINT32_MAX) /* set id; none: UINT32_MAX */ \
	F(u32, nconds, 64)
WIRE_DECLARE(tell_conf_rule, TELL_CONF_RULE)

#define TELL_CONF_COND(F)                                \
	F(u8, kind, COND_EARLY_TALKER)                   \
	F(u8, negate, 1)                                 \
	F(u32, table, UINT32_MAX) /* none: UINT32_MAX */ \
	F(str, text, 255)                                \
	F(u32, dnsbl, CONFIG_DNSBLS_MAX)                 \
	F(u32, score, UINT32_MAX) /* of an int32_t */
WIRE_DECLARE(tell_conf_cond, TELL_CONF_COND)

/* A table of DNS lists, in their order. */
#define TELL_CONF_DNSBL(F) F(u32, table, UINT32_MAX)
WIRE_DECLARE(tell_conf_dnsbl, TELL_CONF_DNSBL)

/* At most once: when there is one. */
#define TELL_CONF_TLS_REPORTS(F)  \
	F(str, organization, 255) \
	F(str, contact, 320)      \
	F(str, from, 320)
WIRE_DECLARE(tell_conf_tls_reports, TELL_CONF_TLS_REPORTS)

#define TELL_CONF_END(F)                                                       \
	F(u32, report_milters, UINT32_MAX)      /* set id; none: UINT32_MAX */ \
	F(u32, bare_newline_except, UINT32_MAX) /* table id; likewise */       \
	F(u32, allow_from, UINT32_MAX)                                         \
	F(u32, deny_from, UINT32_MAX)                                          \
	F(str, deny_reply, 1024)
WIRE_DECLARE(tell_conf_end, TELL_CONF_END)

#endif
