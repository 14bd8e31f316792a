#include "fetch.h"

#include "head.h"

#include "webstill/base/mem.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MAX_HEAD_BYTES = 256 * 1024,
    KEEP_BODY_BYTES = 1024 * 1024, /* a transfer's buffer keeps so much memory for its next body */
    RECEIVE_BYTES = 64 * 1024,
    DNS_CACHE_S = 600,
};

/** One slot: an easy handle that is used again and again, and the answer that it gathers. */
struct transfer {
    struct ws_fetcher *fetcher;  /* borrowed */
    CURL *easy;                  /* owned */
    struct curl_slist *fields;   /* owned: request fields */
    struct curl_slist *resolved; /* owned: CURLOPT_RESOLVE */
    struct ws_request request;
    struct ws_response response;
    struct ws_buf request_head, head, body;
    char error[CURL_ERROR_SIZE];
    size_t max_bytes;
    const char *refusal; /* the guard's, static */
    char refused_address[INET6_ADDRSTRLEN];
    bool is_busy, is_out_of_memory, is_head_too_long;
};

struct ws_fetcher {
    const struct ws_crawl_keys *conf; /* borrowed */
    CURLM *multi;                     /* owned */
    struct transfer *transfers;       /* owned: conf->concurrency of them */
    struct ws_guard guard;
    struct ws_resolver resolver;
    unsigned n_in_flight;
};

/* --- what curl calls --- */

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *t = context;
    (void)purpose; /* there is one: connect */
    const char *refusal = ws_guard_refuses(&t->fetcher->guard, &address->addr);
    if (refusal) {
        struct sockaddr_in6 v6;
        struct sockaddr_in v4;
        t->refusal = refusal;
        if (address->family == AF_INET6) {
            memcpy(&v6, &address->addr, sizeof v6);
            inet_ntop(AF_INET6, &v6.sin6_addr, t->refused_address, sizeof t->refused_address);
        } else if (address->family == AF_INET) {
            memcpy(&v4, &address->addr, sizeof v4);
            inet_ntop(AF_INET, &v4.sin_addr, t->refused_address, sizeof t->refused_address);
        }
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/** True when the head that just ended announces more than we take. */
static bool announces_too_much(const struct transfer *t)
{
    char length[32];
    if (t->request.is_beginning_enough)
        return false;
    const struct ws_span head = {(const uint8_t *)t->head.ptr, t->head.len};
    return ws_head_field(head, "Content-Length", 0, length, sizeof length) && strlen(length) < 20 &&
           strtoull(length, NULL, 10) > t->max_bytes;
}

static size_t take_head(char *bytes, size_t size, size_t n, void *context)
{
    struct transfer *t = context;
    const size_t len = size * n;
    if (len >= 5 && memcmp(bytes, "HTTP/", 5) == 0)
        ws_buf_clear(&t->head); /* an interim answer came before this one */
    if (!ws_buf_add(&t->head, bytes, len)) {
        t->is_head_too_long = t->head.len + len > MAX_HEAD_BYTES;
        t->is_out_of_memory = !t->is_head_too_long;
        return 0;
    }
    if (len <= 2 && announces_too_much(t)) {
        t->response.is_cut = true;
        return 0; /* nothing is transferred that would be thrown away */
    }
    return len;
}

static size_t take_body(char *bytes, size_t size, size_t n, void *context)
{
    struct transfer *t = context;
    const size_t len = size * n, room = t->max_bytes - t->body.len;
    const size_t part = len < room ? len : room;
    if (!ws_buf_add(&t->body, bytes, part)) {
        t->is_out_of_memory = true;
        return 0;
    }
    t->response.is_cut = part < len;
    return part;
}

static int take_debug(CURL *easy, curl_infotype type, char *bytes, size_t len, void *context)
{
    struct transfer *t = context;
    (void)easy;
    if (type == CURLINFO_HEADER_OUT) {
        ws_buf_clear(&t->request_head);
        t->is_out_of_memory = !ws_buf_add(&t->request_head, bytes, len) || t->is_out_of_memory;
    }
    return 0;
}

/* --- options --- */

/** Options that stay the same for all transfers of a slot. */
static bool set_lasting_options(struct transfer *t)
{
    const struct ws_crawl_keys *conf = t->fetcher->conf;
    CURL *e = t->easy;
    CURLcode rc = CURLE_OK;
    rc |= curl_easy_setopt(e, CURLOPT_PRIVATE, t);
    rc |= curl_easy_setopt(e, CURLOPT_USERAGENT, conf->user_agent);
    rc |= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    rc |= curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    rc |= curl_easy_setopt(e, CURLOPT_PROXY, ""); /* the guard could not see through one */
    rc |= curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    rc |= curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    rc |= curl_easy_setopt(e, CURLOPT_HTTP09_ALLOWED, 0L);
    rc |= curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    rc |= curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
    rc |= curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
    rc |= curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)conf->connect_timeout_ms);
    rc |= curl_easy_setopt(e, CURLOPT_TIMEOUT, (long)conf->timeout_s);
    rc |= curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, (long)conf->min_speed_bytes_s);
    rc |= curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long)conf->min_speed_time_s);
    rc |= curl_easy_setopt(e, CURLOPT_DNS_CACHE_TIMEOUT, (long)DNS_CACHE_S);
    rc |= curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
    rc |= curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    rc |= curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->error);
    rc |= curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    rc |= curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, t);
    rc |= curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, take_head);
    rc |= curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
    rc |= curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_body);
    rc |= curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    rc |= curl_easy_setopt(e, CURLOPT_DEBUGFUNCTION, take_debug); /* the only way to the request as it was sent */
    rc |= curl_easy_setopt(e, CURLOPT_DEBUGDATA, t);
    rc |= curl_easy_setopt(e, CURLOPT_VERBOSE, 1L);
    return rc == CURLE_OK;
}

static bool set_request_options(struct transfer *t)
{
    char accept[256];
    bool is_ok;
    snprintf(accept, sizeof accept, "Accept: %s", t->request.accept ? t->request.accept : "*/*");
    t->fields = curl_slist_append(NULL, accept);
    t->resolved = ws_resolver_answer(&t->fetcher->resolver, &t->request.url, &is_ok);
    CURLcode rc = t->fields && is_ok ? CURLE_OK : CURLE_OUT_OF_MEMORY;
    rc |= curl_easy_setopt(t->easy, CURLOPT_URL, t->request.url.text);
    rc |= curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->fields);
    rc |= curl_easy_setopt(t->easy, CURLOPT_RESOLVE, t->resolved);
    /* With any value set, curl undoes whatever coding the server uses all the same, and take_body counts what comes
     * out. */
    rc |= curl_easy_setopt(t->easy, CURLOPT_ACCEPT_ENCODING, t->request.may_be_coded ? "gzip, deflate" : "identity");
    return rc == CURLE_OK;
}

static void forget_request(struct transfer *t)
{
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(t->easy, CURLOPT_RESOLVE, NULL);
    curl_slist_free_all(t->fields);
    curl_slist_free_all(t->resolved);
    t->fields = t->resolved = NULL;
}

/* --- open and close --- */

enum ws_status ws_fetcher_open(struct ws_fetcher **out, const struct ws_crawl_keys *conf, struct ws_err *err)
{
    *out = NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return ws_fail(err, WS_E_INTERNAL, "libcurl does not start");
    struct ws_fetcher *f = ws_calloc(1, sizeof *f);
    if (!f) {
        curl_global_cleanup();
        return ws_fail(err, WS_E_MEMORY, "out of memory for the fetcher");
    }
    f->conf = conf;
    enum ws_status status = ws_guard_init(&f->guard, conf->allow_addresses, conf->n_allow_addresses, err);
    if (status == WS_OK)
        status = ws_resolver_init(&f->resolver, conf->resolve, conf->n_resolve, err);
    if (status == WS_OK) {
        f->multi = curl_multi_init();
        f->transfers = ws_calloc(conf->concurrency, sizeof *f->transfers);
        if (!f->multi || !f->transfers)
            status = ws_fail(err, WS_E_MEMORY, "out of memory for %u transfers", (unsigned)conf->concurrency);
    }
    for (uint32_t i = 0; status == WS_OK && i < conf->concurrency; i++) {
        struct transfer *t = &f->transfers[i];
        t->fetcher = f;
        t->easy = curl_easy_init();
        t->head.max_bytes = t->request_head.max_bytes = MAX_HEAD_BYTES;
        if (!t->easy || !set_lasting_options(t))
            status = ws_fail(err, WS_E_INTERNAL, "libcurl %s refuses the options of a transfer", LIBCURL_VERSION);
    }
    if (status == WS_OK)
        *out = f;
    else
        ws_fetcher_close(&f);
    return status;
}

void ws_fetcher_close(struct ws_fetcher **fetcher)
{
    struct ws_fetcher *f = *fetcher;
    if (!f)
        return;
    for (uint32_t i = 0; f->transfers && i < f->conf->concurrency; i++) {
        struct transfer *t = &f->transfers[i];
        if (!t->easy)
            continue;
        if (t->is_busy)
            curl_multi_remove_handle(f->multi, t->easy);
        forget_request(t);
        curl_easy_cleanup(t->easy);
        ws_buf_fini(&t->request_head);
        ws_buf_fini(&t->head);
        ws_buf_fini(&t->body);
    }
    free(f->transfers);
    curl_multi_cleanup(f->multi);
    ws_guard_fini(&f->guard);
    free(f);
    *fetcher = NULL;
    curl_global_cleanup();
}

/* --- transfers --- */

static struct transfer *find_idle(struct ws_fetcher *f)
{
    for (uint32_t i = 0; i < f->conf->concurrency; i++)
        if (!f->transfers[i].is_busy)
            return &f->transfers[i];
    return NULL;
}

enum ws_status ws_fetcher_start(struct ws_fetcher *f, const struct ws_request *request, void *owner, struct ws_err *err)
{
    struct transfer *t = find_idle(f);
    ws_assert(t != NULL);
    t->request = *request;
    t->response = (struct ws_response){.request = &t->request, .owner = owner};
    t->max_bytes = request->max_bytes ? request->max_bytes : (size_t)f->conf->max_body_kib * 1024;
    t->error[0] = t->refused_address[0] = '\0';
    t->refusal = NULL;
    t->is_out_of_memory = t->is_head_too_long = false;
    ws_buf_clear(&t->request_head);
    ws_buf_clear(&t->head);
    ws_buf_clear(&t->body);
    if (!set_request_options(t) || curl_multi_add_handle(f->multi, t->easy) != CURLM_OK) {
        forget_request(t);
        return ws_fail(err, WS_E_MEMORY, "cannot start the transfer of %s: out of memory", request->url.text);
    }
    t->is_busy = true;
    f->n_in_flight++;
    return WS_OK;
}

unsigned ws_fetcher_n_in_flight(const struct ws_fetcher *f)
{
    return f->n_in_flight;
}

enum ws_status ws_fetcher_wait(struct ws_fetcher *f, int timeout_ms, struct ws_err *err)
{
    int n_running;
    CURLMcode rc = curl_multi_perform(f->multi, &n_running);
    /* What ended already must not wait for the poll. */
    if (rc == CURLM_OK && (unsigned)n_running == f->n_in_flight)
        rc = curl_multi_poll(f->multi, NULL, 0, timeout_ms, NULL);
    if (rc == CURLM_OK)
        rc = curl_multi_perform(f->multi, &n_running);
    if (rc != CURLM_OK)
        return ws_fail(err, WS_E_INTERNAL, "libcurl: %s", curl_multi_strerror(rc));
    return WS_OK;
}

static enum ws_failure failure_of(const struct transfer *t, CURLcode rc)
{
    switch (rc) {
    case CURLE_OK:
        return WS_FAILURE_NONE;
    case CURLE_COULDNT_RESOLVE_HOST:
        return WS_FAILURE_DNS;
    case CURLE_COULDNT_CONNECT:
        return t->refusal ? WS_FAILURE_ADDRESS : WS_FAILURE_CONNECT;
    case CURLE_OPERATION_TIMEDOUT:
        return WS_FAILURE_TIMEOUT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR:
        return WS_FAILURE_TLS;
    case CURLE_BAD_CONTENT_ENCODING:
        return WS_FAILURE_CODING;
    default:
        return WS_FAILURE_BROKEN;
    }
}

/** Judge a finished transfer. */
static void conclude(struct transfer *t, CURLcode rc)
{
    struct ws_response *r = &t->response;
    long http_status = 0;
    curl_off_t retry_after_s = 0;
    char *ip_address = NULL;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &http_status);
    curl_easy_getinfo(t->easy, CURLINFO_PRIMARY_IP, &ip_address);
    curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    curl_easy_getinfo(t->easy, CURLINFO_TOTAL_TIME, &r->seconds);
    r->http_status = (int)http_status;
    r->retry_after_s = (int64_t)retry_after_s;
    snprintf(r->ip_address, sizeof r->ip_address, "%s", ip_address ? ip_address : "");
    r->request_head = (struct ws_span){(const uint8_t *)t->request_head.ptr, t->request_head.len};
    r->head = (struct ws_span){(const uint8_t *)t->head.ptr, t->head.len};
    r->body = (struct ws_span){(const uint8_t *)t->body.ptr, t->body.len};

    if (rc == CURLE_WRITE_ERROR && r->is_cut)
        rc = CURLE_OK;
    r->failure = failure_of(t, rc);
    if (r->failure == WS_FAILURE_ADDRESS)
        snprintf(r->detail, sizeof r->detail, "%s address %s is not allowed (crawl.allow_addresses)", t->refusal,
                 t->refused_address);
    else if (t->is_head_too_long)
        snprintf(r->detail, sizeof r->detail, "response head over %d KiB", MAX_HEAD_BYTES / 1024);
    else if (t->is_out_of_memory)
        snprintf(r->detail, sizeof r->detail, "out of memory");
    else if (r->failure != WS_FAILURE_NONE)
        snprintf(r->detail, sizeof r->detail, "%s", t->error[0] ? t->error : curl_easy_strerror(rc));
}

const struct ws_response *ws_fetcher_next(struct ws_fetcher *f)
{
    int n_left;
    const CURLMsg *message;
    while ((message = curl_multi_info_read(f->multi, &n_left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        const CURLcode rc = message->data.result; /* the message dies with remove_handle */
        struct transfer *t = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        conclude(t, rc);
        curl_multi_remove_handle(f->multi, t->easy);
        return &t->response;
    }
    return NULL;
}

void ws_fetcher_release(struct ws_fetcher *f, const struct ws_response *response)
{
    for (uint32_t i = 0; i < f->conf->concurrency; i++) {
        struct transfer *t = &f->transfers[i];
        if (&t->response != response)
            continue;
        forget_request(t);
        if (t->body.cap > KEEP_BODY_BYTES)
            ws_buf_fini(&t->body);
        t->is_busy = false;
        f->n_in_flight--;
        return;
    }
}

const char *ws_fetcher_library(void)
{
    return curl_version();
}
