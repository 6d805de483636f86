/* SPDX-License-Identifier: Apache-2.0 */
#include "clone_cookie_words.h"

#include <apr_cstr.h>

/* All a to z, 0 to 9, and some more, 1 to max of them. */
static int is_made_of(const char *text, const char *more, size_t max)
{
    size_t i;

    for (i = 0; text[i] != '\0'; i++) {
        char c = text[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
              || (c >= 'A' && c <= 'Z') || strchr(more, c) != NULL)) {
            return 0;
        }
    }
    return i > 0 && i <= max;
}

clone_cookie_word_e clone_cookie_word_init(clone_cookie_conf_t *conf,
                                           const char *name)
{
    memset(conf, 0, sizeof(*conf));
    conf->path = "/";
    if (apr_cstr_casecmp(name, "off") == 0) {
        return CLONE_COOKIE_WORD_OK;
    }
    if (!is_made_of(name, "!#$&'*+-.^_`|~", HA_COOKIE_NAME_MAX)) {
        return CLONE_COOKIE_WORD_NAME;
    }
    conf->name = name;
    return CLONE_COOKIE_WORD_OK;
}

static clone_cookie_word_e set_same_site(clone_cookie_conf_t *conf,
                                         const char *value)
{
    static const char *const words[] = { "lax", "strict", "none" };
    int i;

    for (i = 0; i < 3; i++) {
        if (apr_cstr_casecmp(value, words[i]) == 0) {
            conf->same_site = (clone_same_site_e)i;
            return CLONE_COOKIE_WORD_OK;
        }
    }
    return CLONE_COOKIE_WORD_SAME_SITE;
}

static clone_cookie_word_e set_secure(clone_cookie_conf_t *conf,
                                      const char *value)
{
    int is_on = apr_cstr_casecmp(value, "on") == 0;

    if (!is_on && apr_cstr_casecmp(value, "auto") != 0) {
        return CLONE_COOKIE_WORD_SECURE;
    }
    conf->is_secure = is_on;
    return CLONE_COOKIE_WORD_OK;
}

clone_cookie_word_e clone_cookie_word_set(clone_cookie_conf_t *conf,
                                          const char *word)
{
    if (apr_cstr_casecmpn(word, "path=", 5) == 0) {
        if (word[5] != '/'
            || !is_made_of(word + 5, "/-._~!$&'()*+:@%", HA_NAME_MAX * 4)) {
            return CLONE_COOKIE_WORD_PATH;
        }
        conf->path = word + 5;
        return CLONE_COOKIE_WORD_OK;
    }
    if (apr_cstr_casecmpn(word, "domain=", 7) == 0) {
        if (!is_made_of(word + 7, "-.", HA_NAME_MAX * 4)) {
            return CLONE_COOKIE_WORD_DOMAIN;
        }
        conf->domain = word + 7;
        return CLONE_COOKIE_WORD_OK;
    }
    if (apr_cstr_casecmpn(word, "samesite=", 9) == 0) {
        return set_same_site(conf, word + 9);
    }
    if (apr_cstr_casecmpn(word, "secure=", 7) == 0) {
        return set_secure(conf, word + 7);
    }
    return CLONE_COOKIE_WORD_KEY;
}

const char *clone_cookie_word_name(clone_cookie_word_e fault)
{
    switch (fault) {
    case CLONE_COOKIE_WORD_OK:
        return "ok";
    case CLONE_COOKIE_WORD_NAME:
        return "takes Off or a cookie's name first";
    case CLONE_COOKIE_WORD_KEY:
        return "takes path=, domain=, samesite= and secure= behind the name";
    case CLONE_COOKIE_WORD_PATH:
        return "path= takes an absolute path as in a URL";
    case CLONE_COOKIE_WORD_DOMAIN:
        return "domain= takes a host's name";
    case CLONE_COOKIE_WORD_SAME_SITE:
        return "samesite= takes Lax, Strict or None";
    case CLONE_COOKIE_WORD_SECURE:
        return "secure= takes auto or on";
    default:
        return "?";
    }
}
