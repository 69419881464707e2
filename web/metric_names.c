/*
 * Numbers that stand nowhere here come out untyped, under their own name.
 *
 * What several processes count stands apart for each of them (label process):
 * of a sum nobody could tell that one of them was started again, or did not
 * answer this time, and began at 0.
 */
#include "web/metric_names.h"

/* clang-format off */
#define COUNTER(stat, name, help) { stat, NULL, METRIC_COUNTER, false, name, help }
#define GAUGE(stat, name, help)   { stat, NULL, METRIC_GAUGE, false, name, help }
#define TIMES(stat, name, help)   { stat, NULL, METRIC_HISTOGRAM, false, name, help }
/* Of several processes. */
#define COUNTERS(stat, name, help)   { stat, NULL, METRIC_COUNTER, true, name, help }
#define TIMES_EACH(stat, name, help) { stat, NULL, METRIC_HISTOGRAM, true, name, help }
/* Of several things: filters, roles. */
#define GAUGE_OF(stat, label, name, help)    { stat, label, METRIC_GAUGE, false, name, help }
#define COUNTERS_OF(stat, label, name, help) { stat, label, METRIC_COUNTER, true, name, help }

const struct metric metric_table[] = {
	GAUGE("parent.uptime", "postern_uptime_seconds", "Time since the gateway was started."),
	COUNTER("parent.restarts", "postern_restarts_total", "Processes that were started again."),
	COUNTER("parent.deaths", "postern_deaths_total", "Processes that died."),
	COUNTERS("log.lost", "postern_log_lost_total", "Log lines that were not written."),

	GAUGE("smtpd.sessions", "postern_smtpd_sessions", "SMTP sessions that are open."),
	COUNTERS("smtpd.connections", "postern_smtpd_connections_total", "Connections that were accepted."),
	COUNTERS("smtpd.accepted", "postern_smtpd_accepted_total", "Mails that were answered with 250."),
	COUNTERS("smtpd.rejected", "postern_smtpd_rejected_total", "Answers that refuse for good (5xx)."),
	COUNTERS("smtpd.tempfailed", "postern_smtpd_tempfailed_total", "Answers that refuse for now (4xx)."),
	COUNTERS("smtpd.bytes", "postern_smtpd_received_bytes_total", "Content of accepted mails."),
	COUNTERS("smtpd.discarded", "postern_smtpd_discarded_total", "Mails that filters had accepted and dropped."),
	TIMES_EACH("smtpd.accept", "postern_smtpd_accept_seconds", "From MAIL to the answer 250."),
	COUNTERS("smtpd.rdns_asked", "postern_smtpd_rdns_asked_total", "Questions for the name of a client."),
	COUNTERS("smtpd.rdns_waited", "postern_smtpd_rdns_waited_total", "Commands that waited for the name of the client."),
	GAUGE("smtpd.filtering", "postern_smtpd_filtering", "Mails that filters look at now."),
	GAUGE("smtpd.filtering_capacity", "postern_smtpd_filtering_capacity", "Mails that filters may look at at once."),
	COUNTERS("smtpd.filtering_refused", "postern_smtpd_filtering_refused_total", "Mails refused since filters had enough to do."),
	COUNTERS("smtpd.blocked", "postern_smtpd_blocked_total", "Connections refused by deny from or a block."),
	COUNTERS("smtpd.listed", "postern_smtpd_listed_total", "Clients that a DNS list has."),
	COUNTERS("smtpd.dnsbl_asked", "postern_smtpd_dnsbl_asked_total", "Questions about DNS lists."),
	COUNTERS("smtpd.dnsbl_silent", "postern_smtpd_dnsbl_silent_total", "DNS lists that did not answer."),
	COUNTERS("smtpd.early_talkers", "postern_smtpd_early_talkers_total", "Clients that talked before the greeting."),
	COUNTERS("smtpd.proxy_errors", "postern_smtpd_proxy_errors_total", "PROXY headers that were malformed or missing."),
	COUNTERS("smtpd.limit_source", "postern_smtpd_limit_source_total", "Connections refused: too many of one source, or too fast."),
	COUNTERS("smtpd.limit_subnet", "postern_smtpd_limit_subnet_total", "Connections refused: too many of one network."),
	COUNTERS("smtpd.limit_full", "postern_smtpd_limit_full_total", "Connections refused: the gateway was full."),
	COUNTERS("smtpd.limit_messages", "postern_smtpd_limit_messages_total", "Sessions with as many mails as may be."),
	COUNTERS("smtpd.limit_errors", "postern_smtpd_limit_errors_total", "Sessions ended for too many errors."),
	COUNTERS("smtpd.limit_junk", "postern_smtpd_limit_junk_total", "Sessions ended for too many commands that do no mail."),
	COUNTERS("smtpd.limit_time", "postern_smtpd_limit_time_total", "Sessions ended since their time was up."),
	COUNTERS("smtpd.limit_slow", "postern_smtpd_limit_slow_total", "Sessions ended since content came too slowly."),
	COUNTERS("smtpd.timeouts", "postern_smtpd_timeouts_total", "Sessions in which nothing came any more."),
	COUNTERS("smtpd.bare_newlines", "postern_smtpd_bare_newlines_total", "Content with a bare CR or LF."),
	GAUGE("smtpd.stress", "postern_smtpd_stress", "Processes that are under stress."),
	COUNTERS("smtpd.stress_refused", "postern_smtpd_stress_refused_total", "Connections refused under stress."),
	GAUGE("smtpd.tls_half_open", "postern_smtpd_tls_half_open", "TLS handshakes under way."),
	COUNTERS("smtpd.tls_handshakes", "postern_smtpd_tls_handshakes_total", "TLS handshakes that came to a good end."),
	COUNTERS("smtpd.tls_resumed", "postern_smtpd_tls_resumed_total", "TLS sessions that were resumed."),
	COUNTERS("smtpd.tls_failed", "postern_smtpd_tls_failed_total", "TLS handshakes that failed."),
	COUNTERS("smtpd.tls_refused", "postern_smtpd_tls_refused_total", "TLS handshakes refused: too many at once."),
	COUNTERS("smtpd.starttls_injection", "postern_smtpd_starttls_injection_total", "Plain text behind STARTTLS."),
	COUNTERS("smtpd.auth_ok", "postern_smtpd_auth_ok_total", "Clients that authenticated."),
	COUNTERS("smtpd.auth_failed", "postern_smtpd_auth_failed_total", "Authentications that failed."),
	COUNTERS("smtpd.auth_busy", "postern_smtpd_auth_busy_total", "Authentications that could not be tried."),
	COUNTERS("smtpd.auth_limited", "postern_smtpd_auth_limited_total", "Sources with too many failed authentications."),
	COUNTERS("smtpd.bdat", "postern_smtpd_bdat_total", "Mails that came in chunks."),
	COUNTERS("smtpd.dsn", "postern_smtpd_dsn_total", "Mails with wishes about reports."),
	COUNTERS("smtpd.smtputf8", "postern_smtpd_smtputf8_total", "Mails with SMTPUTF8."),
	COUNTERS("smtpd.requiretls", "postern_smtpd_requiretls_total", "Mails with REQUIRETLS."),
	COUNTERS("smtpd.xclient", "postern_smtpd_xclient_total", "XCLIENT commands."),
	COUNTERS("smtpd.proxy", "postern_smtpd_proxy_total", "Sessions with a PROXY header."),

	GAUGE("queue.messages", "postern_queue_messages", "Mails in the queue."),
	GAUGE("queue.active", "postern_queue_active", "Mails that are being delivered, or about to be."),
	GAUGE("queue.deferred", "postern_queue_deferred", "Mails that wait for their next try."),
	GAUGE("queue.held", "postern_queue_held", "Mails that are held."),
	GAUGE("queue.rate_held", "postern_queue_rate_held", "Mails held because of their user's rate."),
	GAUGE("queue.quarantined", "postern_queue_quarantined", "Mails in quarantine."),
	GAUGE("queue.filtering", "postern_queue_filtering", "Mails of the queue that filters look at."),
	COUNTER("queue.filtered", "postern_queue_filtered_total", "Mails of the queue that filters were shown."),
	GAUGE("queue.kept", "postern_queue_kept", "Removed mails that can still be had back."),
	GAUGE("queue.blocks", "postern_queue_blocks", "Networks that are blocked or allowed."),
	GAUGE("queue.pauses", "postern_queue_pauses", "What stands still: smtp, delivery, domains."),
	GAUGE("queue.refusing", "postern_queue_refusing", "1 while no mail is taken: the disk is short, or the queue is full."),
	GAUGE("queue.reporting", "postern_queue_reporting", "Mails whose senders are going to be told."),
	GAUGE("queue.bytes", "postern_queue_bytes", "Size of the mails in the queue."),
	COUNTER("queue.commits", "postern_queue_commits_total", "Group commits."),
	GAUGE("queue.commit_batch", "postern_queue_commit_batch", "Records in a group commit, on average."),
	TIMES("queue.commit", "postern_queue_commit_seconds", "From the arrival of a mail to its being on stable storage."),
	TIMES("queue.delivery", "postern_queue_delivery_seconds", "From the arrival of a mail to its delivery, of each recipient."),
	COUNTER("queue.written", "postern_queue_written_bytes_total", "Bytes written to the journal."),
	COUNTER("queue.fsyncs", "postern_queue_fsyncs_total", "Calls that made something durable."),
	GAUGE("queue.segments", "postern_queue_segments", "Segments of the journal."),
	COUNTER("queue.segments_reused", "postern_queue_segments_reused_total", "Segments that were written anew."),
	GAUGE("queue.works", "postern_queue_works", "Deliveries that agents have in hand."),
	COUNTER("queue.reports", "postern_queue_reports_total", "Reports to senders that were made."),
	COUNTER("queue.tls_reports", "postern_queue_tls_reports_total", "Reports about TLS that were made."),
	COUNTER("queue.reports_unwanted", "postern_queue_reports_unwanted_total", "Reports that nobody could be sent."),
	GAUGE("queue.cache_bytes", "postern_queue_cache_bytes", "Content kept in memory."),
	COUNTER("queue.cache_hits", "postern_queue_cache_hits_total", "Content that was found in memory."),
	COUNTER("queue.cache_misses", "postern_queue_cache_misses_total", "Content that had to be read from the disk."),

	GAUGE("delivery.connections", "postern_delivery_connections", "Connections to next hops."),
	COUNTERS("delivery.connects", "postern_delivery_connects_total", "Connections to next hops that were tried."),
	COUNTERS("delivery.delivered", "postern_delivery_delivered_total", "Recipients that were delivered."),
	COUNTERS("delivery.deferred", "postern_delivery_deferred_total", "Tries that were put off."),
	COUNTERS("delivery.bounced", "postern_delivery_bounced_total", "Recipients that were refused for good."),
	GAUGE("delivery.routes", "postern_delivery_routes", "Ways to domains that are remembered."),
	COUNTERS("delivery.route_questions", "postern_delivery_route_questions_total", "Questions for the way to a domain."),
	COUNTERS("delivery.tls_none", "postern_delivery_tls_none_total", "Connections in the clear."),
	COUNTERS("delivery.tls_unverified", "postern_delivery_tls_unverified_total", "Connections with TLS that nothing vouched for."),
	COUNTERS("delivery.tls_verified", "postern_delivery_tls_verified_total", "Connections with a verified certificate."),
	COUNTERS("delivery.tls_dane", "postern_delivery_tls_dane_total", "Connections verified by DANE."),
	COUNTERS("delivery.tls_resumed", "postern_delivery_tls_resumed_total", "TLS sessions that were resumed."),
	COUNTERS("delivery.tls_fallbacks", "postern_delivery_tls_fallbacks_total", "Connections in the clear after TLS had failed."),

	COUNTER("resolver.queries", "postern_resolver_queries_total", "Questions to name servers."),
	COUNTER("resolver.cache_hits", "postern_resolver_cache_hits_total", "Questions answered from the cache."),
	COUNTER("resolver.coalesced", "postern_resolver_coalesced_total", "Questions that joined one in progress."),
	COUNTER("resolver.faults", "postern_resolver_faults_total", "Questions without a usable answer."),
	COUNTER("resolver.timeouts", "postern_resolver_timeouts_total", "Questions without an answer in time."),
	COUNTER("resolver.busy", "postern_resolver_busy_total", "Questions refused: too many were in progress."),
	GAUGE("resolver.pending", "postern_resolver_pending", "Questions to name servers in progress."),
	GAUGE("resolver.cache_entries", "postern_resolver_cache_entries", "Answers in the cache."),
	COUNTER("resolver.questions", "postern_resolver_questions_total", "Questions of the other processes."),
	COUNTER("resolver.turned_away", "postern_resolver_turned_away_total", "Questions of a process that had too many in progress."),
	GAUGE("resolver.under_way", "postern_resolver_under_way", "Questions of the other processes in progress."),
	GAUGE("resolver.dnssec", "postern_resolver_dnssec", "1 while the name servers validate."),

	COUNTER("dialer.dialed", "postern_dialer_dialed_total", "Connections to filters."),
	COUNTER("dialer.refused", "postern_dialer_refused_total", "Connections to filters that could not be had."),
	GAUGE("dialer.waiting", "postern_dialer_waiting", "Connections to filters under way."),
	COUNTER("dialer.hops_dialed", "postern_dialer_hops_dialed_total", "Connections to next hops that are Unix sockets."),
	COUNTER("dialer.hops_refused", "postern_dialer_hops_refused_total", "Such connections that could not be had."),

	COUNTER("fetch.questions", "postern_fetch_questions_total", "Questions for MTA-STS policies."),
	COUNTER("fetch.fetches", "postern_fetch_fetches_total", "Policies that were fetched."),
	COUNTER("fetch.failures", "postern_fetch_failures_total", "Policies that could not be fetched."),
	COUNTER("fetch.refreshes", "postern_fetch_refreshes_total", "Policies that were fetched again before they ended."),
	COUNTER("fetch.held", "postern_fetch_held_total", "Policies that were kept, since the new one could not be had."),
	GAUGE("fetch.policies", "postern_fetch_policies", "Domains with a policy."),

	COUNTERS("vault.signatures", "postern_vault_signatures_total", "Signatures made with private keys."),
	COUNTERS("vault.passwords", "postern_vault_passwords_total", "Passwords and proofs that were tried."),
	COUNTERS("vault.credentials", "postern_vault_credentials_total", "Credentials lent to deliveries."),
	COUNTERS("vault.busy", "postern_vault_busy_total", "Questions turned away: too many waited."),
	COUNTERS("vault.failures", "postern_vault_failures_total", "Questions that could not be answered."),

	COUNTER("control.connections", "postern_control_connections_total", "Connections to the control socket."),
	COUNTER("control.turned_away", "postern_control_turned_away_total", "Connections closed at once: too many."),
	COUNTER("control.questions", "postern_control_questions_total", "Questions that were asked."),
	COUNTER("control.refused", "postern_control_refused_total", "Questions that were refused."),

	COUNTER("web.connections", "postern_web_connections_total", "Connections to the HTTP endpoint."),
	COUNTER("web.turned_away", "postern_web_turned_away_total", "Connections closed for others, or for being slow."),
	COUNTER("web.requests", "postern_web_requests_total", "Requests that were answered."),
	COUNTER("web.refused", "postern_web_refused_total", "Requests for what there is not."),

	GAUGE_OF("milter.*.sessions", "milter", "postern_milter_sessions", "Sessions with this filter."),
	COUNTERS_OF("milter.*.connections", "milter", "postern_milter_connections_total", "Connections to this filter."),
	COUNTERS_OF("milter.*.passed", "milter", "postern_milter_passed_total", "Verdicts: let through."),
	COUNTERS_OF("milter.*.quarantined", "milter", "postern_milter_quarantined_total", "Verdicts: into quarantine."),
	COUNTERS_OF("milter.*.discarded", "milter", "postern_milter_discarded_total", "Verdicts: dropped."),
	COUNTERS_OF("milter.*.tempfailed", "milter", "postern_milter_tempfailed_total", "Verdicts: refused for now."),
	COUNTERS_OF("milter.*.rejected", "milter", "postern_milter_rejected_total", "Verdicts: refused for good."),
	COUNTERS_OF("milter.*.edits", "milter", "postern_milter_edits_total", "Changes to mails."),
	COUNTERS_OF("milter.*.failures", "milter", "postern_milter_failures_total", "Times that it failed."),
	COUNTERS_OF("milter.*.skipped", "milter", "postern_milter_skipped_total", "Mails it was not asked about, since it was down."),
	COUNTERS_OF("milter.*.differed", "milter", "postern_milter_differed_total", "Shadow verdicts that differ from what became of the mail."),

	COUNTERS_OF("*.ipc_sent", "role", "postern_ipc_sent_total", "Messages to other processes."),
	COUNTERS_OF("*.ipc_received", "role", "postern_ipc_received_total", "Messages from other processes."),
	COUNTERS_OF("*.ipc_sends", "role", "postern_ipc_sends_total", "System calls that sent messages."),
	COUNTERS_OF("*.ipc_receives", "role", "postern_ipc_receives_total", "System calls that received messages."),
};
/* clang-format on */

const size_t metric_table_size = sizeof(metric_table) / sizeof(metric_table[0]);
