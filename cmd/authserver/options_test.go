// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/hexcovery/apikey-operator/internal/surface"
	"github.com/hexcovery/apikey-operator/webhook"
)

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestDefaults(t *testing.T) {
	o, err := parse(nil, environment("POD_NAMESPACE", "apikeys", "POD_UID", "0f3e"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.listen != ":8080" || o.opsListen != ":8081" || o.proxyListen != ":8082" || o.grpcListen != ":8083" || o.upstream != nil || o.organizationHeader != "X-Scope-OrgID" {
		t.Errorf("%+v", o)
	}
	if o.leaseNamespace != "apikeys" || o.leaseName != "authserver-0f3e" {
		t.Errorf("Lease %s/%s", o.leaseNamespace, o.leaseName)
	}
	if o.maxStaleness != 5*time.Minute || o.suspectAfter != 10*time.Second || o.drainDelay != 5*time.Second {
		t.Errorf("%+v", o)
	}
}

func TestWithoutAPodTheLeaseIsNew(t *testing.T) {
	first, err := parse(nil, environment(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	second, err := parse(nil, environment(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if first.leaseNamespace != "hexcovery-system" || first.leaseName == second.leaseName || len(first.leaseName) != len("authserver-")+36 {
		t.Errorf("%s/%s, then %s", first.leaseNamespace, first.leaseName, second.leaseName)
	}
}

func TestSuspectAfterFollowsMaxStaleness(t *testing.T) {
	o, err := parse([]string{"--max-staleness=4s"}, environment(), io.Discard)
	if err != nil || o.suspectAfter != 2*time.Second {
		t.Errorf("%v, %v", o, err)
	}
}

func TestBadFlagsSayWhatToDo(t *testing.T) {
	for _, test := range []struct{ arguments, want string }{
		{"--max-staleness=1s", "--max-staleness 1s: set it to 2s or more"},
		{"--max-staleness=61m", "--max-staleness 1h1m0s: set it to 1h0m0s or less"},
		{"--max-staleness=4s --suspect-after=4s", "--suspect-after 4s: set it to less than --max-staleness (4s)"},
		{"--suspect-after=0s", "--suspect-after"},
		{"--drain-delay=-1s", "--drain-delay"},
		{"--shutdown-timeout=0s", "--shutdown-timeout"},
		{"--lease-namespace=", "--lease-namespace: set it"},
		{"--upstream=backend:80", "--upstream: "},
		{"--upstream=http://backend/prefix", "leave out what follows the host"},
		{"--proxy-listen=:80", "--proxy-listen: needs --upstream"},
		{"--upstream-ca=/ca", "--upstream-ca: needs --upstream"},
		{"--max-connections=0", "--max-connections 0: set it to 1 or more"},
		{"--upstream=http://a --max-connections=10 --max-connections-per-client=11", "--max-connections-per-client 11: set it to between 1 and --max-connections (10)"},
		{"--upstream=http://a --max-connections-per-client=-1", "--max-connections-per-client -1"},
		{"--max-connections-per-client=1", "--max-connections-per-client: needs --upstream"},
		{"--upstream=http://a --stall-timeout=10ms", "--stall-timeout 10ms: set it to 1s or more"},
		{"--stall-timeout=1m", "--stall-timeout: needs --upstream"},
		{"--oidc-audience=a", "--oidc-audience: needs --oidc-issuer"},
		{"--oidc-ca=/ca", "--oidc-ca: needs --oidc-issuer"},
		{"--oidc-organization-claim=org", "--oidc-organization-claim: needs --oidc-issuer"},
		{"--oidc-clock-skew=1s", "--oidc-clock-skew: needs --oidc-issuer"},
		{"--oidc-issuer=https://issuer.example", "--oidc-audience: set it"},
		{"--oidc-issuer=http://issuer.example --oidc-audience=a", "--oidc-issuer: use https://: whoever can change what the issuer answers"},
		{"--oidc-issuer=issuer.example --oidc-audience=a", "--oidc-issuer: not a URL with a host"},
		{"--oidc-issuer=https://issuer.example --oidc-audience=a --oidc-organization-claim=", "--oidc-organization-claim: set it"},
		{"--oidc-issuer=https://issuer.example --oidc-audience=a --oidc-clock-skew=1h", "--oidc-clock-skew 1h0m0s: set it to between 0s and 5m0s"},
		{"serve", `"serve": use flags only`},
		{"--no-such-flag", "no-such-flag"},
	} {
		_, err := parse(strings.Fields(test.arguments), environment(), io.Discard)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.arguments, err, test.want)
		}
	}
}

func TestHelpListsTheFlags(t *testing.T) {
	var help bytes.Buffer
	if _, err := parse([]string{"--help"}, environment(), &help); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	for _, name := range []string{"listen", "kubeconfig", "zap-log-level", "surface", "upstream", "oidc-issuer"} {
		if !strings.Contains(help.String(), "-"+name) {
			t.Errorf("no --%s in\n%s", name, help.String())
		}
	}
}

func TestFilesAndAddressesThatDoNotWorkAreNamed(t *testing.T) {
	for _, test := range []struct{ arguments, want string }{
		{"--surface=/no/such/file", "--surface: "},
		{"--tls-cert-dir=/no/such/directory", "--tls-cert-dir: "},
		{"--upstream=https://a --upstream-ca=/no/such/file", "--upstream-ca: "},
		{"--oidc-issuer=https://issuer.example --oidc-audience=a --oidc-ca=/no/such/file", "--oidc-ca: "},
		{"--listen=999.0.0.1:x", `--listen "999.0.0.1:x"`},
		{"--listen=127.0.0.1:0 --grpc-listen=999.0.0.1:x", `--grpc-listen "999.0.0.1:x"`},
	} {
		o, err := parse(strings.Fields(test.arguments), environment(), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := serverConfig(t.Context(), o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.arguments, err, test.want)
		}
	}
}

func TestBoundsOfConnectionsReachTheServer(t *testing.T) {
	for _, test := range []struct {
		arguments       string
		most, perClient int
		stall           time.Duration
	}{
		{"", webhook.DefaultMaxConnections, 0, time.Minute},
		{"--upstream=http://a --proxy-listen=127.0.0.1:0 --max-connections=10 --max-connections-per-client=3 --stall-timeout=5s", 10, 3, 5 * time.Second},
	} {
		o, err := parse(append(strings.Fields(test.arguments), "--listen=127.0.0.1:0", "--grpc-listen=", "--ops-listen=127.0.0.1:0"), environment(), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		config, err := serverConfig(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		config.Gateways.Close()
		config.Operations.Close()
		if config.Proxy != nil {
			config.Proxy.Close()
		}
		if config.MaxConnections != test.most || config.MaxConnectionsPerClient != test.perClient || config.StallTimeout != test.stall {
			t.Errorf("%s: %+v", test.arguments, config)
		}
	}
}

func TestSurfaceIsFollowed(t *testing.T) {
	o, err := parse([]string{"--surface=../../config/authserver/surface.yaml", "--listen=127.0.0.1:0", "--grpc-listen=", "--ops-listen=127.0.0.1:0"}, environment(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	config, err := serverConfig(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	config.Gateways.Close()
	config.Operations.Close()
	if _, ok := config.Surface.(*surface.File); !ok {
		t.Errorf("%T", config.Surface)
	}
}

func TestSessionsAreAcceptedWithAnIssuerOnly(t *testing.T) {
	for _, test := range []struct {
		arguments []string
		accepted  bool
	}{
		{nil, false},
		{[]string{"--oidc-issuer=https://issuer.example/realms/a", "--oidc-audience=dashboard", "--oidc-organization-claim=https://hexcovery.example/org", "--oidc-clock-skew=0s"}, true},
	} {
		o, err := parse(append(test.arguments, "--listen=127.0.0.1:0", "--grpc-listen=127.0.0.1:0", "--ops-listen=127.0.0.1:0"), environment(), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		config, err := serverConfig(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		config.Gateways.Close()
		config.GRPC.Close()
		config.Operations.Close()
		if (config.Sessions != nil) != test.accepted {
			t.Errorf("%q: %v", test.arguments, config.Sessions)
		}
	}
}
