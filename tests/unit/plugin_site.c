/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin_site.h"

#include <check.h>
#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>

const char plugin_site_sample[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?><!-- made by hand -->\n"
    "<Config RefreshInterval=\"30\" IgnoreDNSFailures=\"true\"\n"
    "        AppServerPortPreference=\"WebserverPort\" ConfigHash=\"-7\"\n"
    "        ResponseChunkSize=\"64\" HTTPMaxHeaders=\"300\"\n"
    "        AcceptAllContent=\"true\" TrustedProxyEnable=\"true\">\n"
    "  <Log LogLevel=\"Error\" Name=\"/var/log/plugin.log\"/>\n"
    "  <Property Name=\"ESIEnable\" Value=\"true\"/>\n"
    "  <VirtualHostGroup Name=\"hosts\">\n"
    "    <VirtualHost Name=\"*:80\"/>\n"
    "    <VirtualHost Name=\"Shop.Example.com:443\"/>\n"
    "    <VirtualHost Name=\"[2001:DB8::1]:8080\"/>\n"
    "  </VirtualHostGroup>\n"
    "  <ServerCluster Name=\"shop\" LoadBalance=\"Random\"\n"
    "      RetryInterval=\"20\" ServerIOTimeoutRetry=\"2\"\n"
    "      PostSizeLimit=\"-1\" PostBufferSize=\"128\"\n"
    "      CloneSeparatorChange=\"true\" IgnoreAffinityRequests=\"false\">\n"
    "    <Server Name=\"one\" CloneID=\"v1a\" LoadBalanceWeight=\"3\"\n"
    "        ConnectTimeout=\"2\" ServerIOTimeout=\"-30\"\n"
    "        wsServerIOTimeout=\"40\" wsServerIdleTimeout=\"50\"\n"
    "        MaxConnections=\"100\" WaitForContinue=\"true\">\n"
    "      <Transport Hostname=\"One.example.com\" Port=\"9080\"\n"
    "                 Protocol=\"http\"/>\n"
    "      <Transport Hostname=\"one.example.com\" Port=\"9443\"\n"
    "                 Protocol=\"https\">\n"
    "        <Property Name=\"keyring\" Value=\"/etc/key.kdb\"/>\n"
    "        <Property Name=\"stashfile\" Value=\"/etc/key.sth\"/>\n"
    "        <Property Name=\"certLabel\" Value=\"shop\"/>\n"
    "      </Transport>\n"
    "    </Server>\n"
    "    <Server Name=\"two\" CloneID=\"v2b\">\n"
    "      <Transport Hostname=\"[2001:db8::2]\" Port=\"9080\"/>\n"
    "    </Server>\n"
    "    <Server Name=\"three\" CloneID=\"v3c\">\n"
    "      <Transport Hostname=\"three\" Port=\"9080\"/>\n"
    "    </Server>\n"
    "    <ClusterAddress><Transport Hostname=\"all\" Port=\"80\"/>\n"
    "    </ClusterAddress>\n"
    "    <PrimaryServers>\n"
    "      <Server Name=\"two\"/>\n"
    "      <Server Name=\"one\"/>\n"
    "    </PrimaryServers>\n"
    "    <BackupServers><Server Name=\"three\"/></BackupServers>\n"
    "  </ServerCluster>\n"
    "  <UriGroup Name=\"uris\">\n"
    "    <Uri Name=\"/shop/*\" AffinityCookie=\"SHOP\"\n"
    "         AffinityURLIdentifier=\"shopid\"/>\n"
    "    <Uri Name=\"*.jsp\"/>\n"
    "    <Uri Name=\"/plain\" AffinityCookie=\"\"/>\n"
    "  </UriGroup>\n"
    "  <Route ServerCluster=\"shop\" UriGroup=\"uris\"\n"
    "         VirtualHostGroup=\"hosts\"/>\n"
    "  <TrustedProxyGroup>\n"
    "    <TrustedProxy Name=\"10.0.0.1\"/>\n"
    "    <TrustedProxy Name=\"10.0.0.2\"/>\n"
    "  </TrustedProxyGroup>\n"
    "</Config>\n";

void plugin_site_open(plugin_site_t *site)
{
    memset(site, 0, sizeof(*site));
    ck_assert_int_eq(apr_initialize(), APR_SUCCESS);
    ck_assert_int_eq(apr_pool_create(&site->p, NULL), APR_SUCCESS);
}

void plugin_site_close(plugin_site_t *site)
{
    apr_pool_destroy(site->p);
    apr_terminate();
}

void plugin_site_read(plugin_site_t *site, const char *text)
{
    plugin_site_read_span(site, span_of_text(text));
}

void plugin_site_read_span(plugin_site_t *site, span_t text)
{
    apr_pool_t *ptemp;
    char *copy = malloc(text.len > 0 ? text.len : 1);

    /* In a block of its size, that is gone afterwards as a caller's may be. */
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text.data, text.len);
    ck_assert_int_eq(apr_pool_create(&ptemp, NULL), APR_SUCCESS);
    site->findings = clone_findings_make(site->p);
    site->result = clone_plugin_parse(&site->plugin, site->findings,
                                      span_of(copy, text.len), site->p,
                                      ptemp);
    apr_pool_destroy(ptemp);
    free(copy);
    ck_assert((site->result == CLONE_FINDING_OK) == (site->plugin != NULL));
    ck_assert_int_eq(site->result, site->findings->first);
    ck_assert((site->findings->count[CLONE_ERROR] == 0)
              == (site->plugin != NULL));
}

const char *plugin_site_find(const clone_findings_t *findings,
                             unsigned int line, clone_finding_e kind)
{
    int i;

    for (i = 0; i < findings->list->nelts; i++) {
        const clone_finding_t *finding =
            &APR_ARRAY_IDX(findings->list, i, clone_finding_t);

        if (finding->line == line && finding->kind == kind) {
            return finding->text;
        }
    }
    return NULL;
}

void plugin_site_expect(const clone_findings_t *findings, unsigned int line,
                        clone_severity_e severity, clone_finding_e kind,
                        const char *says)
{
    const char *all = "";
    int i;

    for (i = 0; i < findings->list->nelts; i++) {
        const clone_finding_t *finding =
            &APR_ARRAY_IDX(findings->list, i, clone_finding_t);

        if (finding->line == line && finding->severity == severity
            && finding->kind == kind && strstr(finding->text, says) != NULL) {
            return;
        }
        all = apr_psprintf(findings->p, "%s\n%u: %s: %s [%s]", all,
                           finding->line,
                           clone_severity_name(finding->severity),
                           finding->text, clone_finding_name(finding->kind));
    }
    ck_abort_msg("no %s [%s] '%s' in line %u, but:%s",
                 clone_severity_name(severity), clone_finding_name(kind),
                 says, line, all);
}

const char *plugin_site_edit(const char *text, const char *part,
                             const char *by, apr_pool_t *p)
{
    const char *at = strstr(text, part);

    ck_assert_msg(at != NULL, "there is no '%s'", part);
    return apr_pstrcat(p, apr_pstrmemdup(p, text, (apr_size_t)(at - text)),
                       by, at + strlen(part), NULL);
}
