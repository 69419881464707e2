/*
 * The parent's state: one object, made in main.c and handed to every file of
 * this folder.
 */
#ifndef POSTERN_POSTERND_GATEWAY_H
#define POSTERN_POSTERND_GATEWAY_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/ipc/channel.h"
#include "lib/net/sources.h"
#include "lib/proc/sandbox.h"
#include "lib/rules/config.h"
#include "posternd/load.h"
#include "posternd/role.h"
#include "posternd/tickets.h"

enum process_state {
	PROCESS_DOWN,     /* not started yet, or waiting for its restart */
	PROCESS_STARTING, /* runs, is being handed things, is not ready */
	PROCESS_READY
};

/* Is it to go? */
enum process_leave {
	LEAVE_NOT,
	LEAVE_FOR_GOOD,  /* told to stop; nothing is started in its place */
	LEAVE_AND_RETURN /* told to stop, then started anew */
};

struct queue_end; /* see links.h */

/* One child: a role and an instance; it lives on in the next process when
 * its present one dies. */
struct process {
	struct gateway *gw;
	const struct role_def *def;
	uint16_t instance;
	uid_t uid; /* as whom it runs; only as root */
	gid_t gid;
	uint64_t nofile, memory; /* limits of its jail, also of the next */
	enum process_state state;
	pid_t pid;            /* 0: none */
	bool reaped;          /* it was waited for: pid is not ours any more */
	int status;           /* of waitpid, when reaped */
	struct channel *ch;   /* all_parent; NULL: none */
	struct channel *asks; /* control's questions to us; else NULL */
	uint64_t started_ms;  /* monotonic */
	uint32_t restarts;
	uint32_t quick_deaths; /* in a row */
	bool conf_told;        /* a configuration that it has not taken yet */
	bool conf_stale;       /* and gw->conf is a newer one by now */
	struct timer *timer;   /* until the restart, or until it is killed */
	char *sandbox;         /* what holds, in its own words; NULL: unknown */
	char *failure;         /* its last words; NULL: none */
	char *given;           /* what it alone was handed, see renew.h; or
				* NULL */
	enum process_leave leave;
	struct queue_end *queue_end; /* of a smtpd that moves on to the next
				      * queue: what that will get; or NULL */
	bool moved; /* it has nothing of the present queue any more */
};

/* A `listen` line: a socket for each smtpd worker, or one for all. */
struct listen_socket {
	int *fds; /* owned, nfds */
	size_t nfds;
	char *path;     /* of a Unix socket, ours to remove; NULL */
	bool inherited; /* it was there before a restart in place */
	bool smtps;     /* likewise, and is left: who waits expects TLS */
};

struct gateway {
	struct loop *loop;
	struct load_options load; /* where conf came from */
	struct config *conf;
	struct confirm *confirm; /* conf waits for it; NULL: it does not */
	STAILQ_HEAD(, reload_wait) reload_waits;
	bool reloading;      /* conf is new, and somebody has not taken it */
	bool rest_is_due;    /* those who ask others have not been told yet */
	bool as_root;        /* roles get their own users and chroot */
	bool foreground;     /* -d */
	uint64_t started_ms; /* of the first program of all */
	/* --- restarts in place, see upgrade.h --- */
	uint64_t taken_ms;  /* since when it is this program */
	uint32_t restarts;  /* before that */
	bool rehearsal;     /* only to see whether it would start */
	bool keeps_trying;  /* a start that fails is not the end */
	char *const *again; /* our command line; as absolute paths */
	TAILQ_HEAD(, retired) retired;
	struct upgrade *upgrade; /* one that is under way; or NULL */
	/* --- the log, as the children get it --- */
	int log_fd;
	enum log_sink log_sink;
	enum log_level log_level;
	/* --- what is handed to children at every start --- */
	struct listen_socket *listens; /* by listener's id */
	size_t nlistens;
	/* Of listeners that are no more, until all have heard of it. */
	struct listen_socket *leaving;
	size_t nleaving;
	struct listen_socket control;
	struct listen_socket http;      /* of `http'; nfds 0: there is no web */
	uint32_t control_gid, view_gid; /* UINT32_MAX: none */
	int empty_root; /* a directory that nothing can be made in */
	int tree;       /* "/" */
	uint32_t dial_gids[JAIL_GROUPS_MAX]; /* of `dial-group' */
	size_t ndial_gids;
	int spool;
	int authorities; /* certificates, for reading; -1: none */
	int policies;    /* the folder of MTA-STS policies */
	int sources_fd;
	int *bases; /* by action's id; -1: not a maildir */
	struct sources *sources;
	struct tickets tickets;
	/* --- the children --- */
	struct process *processes; /* never moves; see roster.h */
	size_t nprocesses, room;
	LIST_HEAD(, link) links; /* channels between them, see links.c */
	unsigned int wave;       /* of starting, and of stopping */
	bool ready;              /* all were ready once */
	bool stopping;
	uint32_t stop_grace_ms;
	struct timer *stop_timer;
	/* All are ready (once). */
	void (*on_ready)(struct gateway *gw);
	char *failure; /* why the start failed; the loop ends */
	uint64_t deaths;
};

#endif
