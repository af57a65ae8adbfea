// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/webhook"
)

// defaultNamespace is where the operator is installed unless somebody chose otherwise.
const defaultNamespace = "hexcovery-system"

// options are what the flags and the environment say.
type options struct {
	listen, grpcListen, proxyListen, opsListen string
	tlsDirectory                               string
	upstream                                   *url.URL
	upstreamCA                                 string
	surface                                    string
	oidc                                       oidcOptions
	usage                                      usageOptions
	audit                                      auditOptions
	organizationHeader                         string
	leaseNamespace, leaseName                  string
	maxStaleness, suspectAfter                 time.Duration
	drainDelay, shutdownTimeout                time.Duration
	connections                                connectionOptions
	logging                                    zap.Options
	// check is set if nothing is to be served.
	check *surfaceCheck
}

// parse reads the command line. Errors say which flag to change, and how.
func parse(arguments []string, environment func(string) string, output io.Writer) (*options, error) {
	o := &options{leaseNamespace: defaultNamespace}
	if namespace := environment("POD_NAMESPACE"); namespace != "" {
		o.leaseNamespace = namespace
	}
	flags := flag.NewFlagSet("authserver", flag.ContinueOnError)
	flags.SetOutput(output)
	podIP := environment("POD_IP")
	upstream, checked := o.bind(flags, podIP)
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	set := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { set[f.Name] = true })
	if set["check-surface"] {
		var err error
		o.check, err = newSurfaceCheck(*checked, flags.Args())
		return o, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q: use flags only, see --help", flags.Arg(0))
	}
	if err := o.usage.check(set, podIP); err != nil {
		return o, err
	}
	return o, o.complete(set, *upstream, environment("POD_UID"))
}

// bind adds the flags, and returns the values of --upstream and --check-surface.
func (o *options) bind(flags *flag.FlagSet, podIP string) (upstream, checked *string) {
	flags.StringVar(&o.listen, "listen", ":8080",
		"address for gateways over HTTP, at /auth/original, /auth/original-url, /auth/forwarded and below /auth/envoy/")
	flags.StringVar(&o.grpcListen, "grpc-listen", ":8083",
		"address of the gRPC services for Envoy (envoy.service.auth.v3.Authorization) and health; empty for neither")
	flags.StringVar(&o.proxyListen, "proxy-listen", ":8082", "address of the built-in proxy for clients; needs --upstream")
	flags.StringVar(&o.opsListen, "ops-listen", ":8081", "address of /readyz, /livez and /metrics, always without TLS")
	flags.StringVar(&o.tlsDirectory, "tls-cert-dir", "",
		"directory with tls.crt and tls.key for --listen, --grpc-listen and --proxy-listen, reloaded when they change; empty for no TLS")
	upstream = flags.String("upstream", "",
		"URL that the built-in proxy forwards to: http:// (gRPC as HTTP/2 without TLS), https:// or h2c://, and a host; empty for none")
	flags.StringVar(&o.upstreamCA, "upstream-ca", "",
		"file with the certificates, in PEM, that the certificate of an https:// upstream is signed by; empty for the system's")
	flags.StringVar(&o.surface, "surface", "",
		"file with the surface, the allow-list of requests that keys may make, reloaded when it changes; empty for the built-in one")
	checked = flags.String("check-surface", "",
		"check the surface in `FILE` and exit: with METHOD and PATH after it, print which rule decides that request; without them, list "+
			"the rules. Exit code 0: permitted; 1: refused; 2: FILE is not valid. - is standard input, default is the built-in surface")
	o.oidc.bind(flags)
	o.usage.bind(flags, podIP)
	o.audit.bind(flags)
	flags.StringVar(&o.organizationHeader, "org-header", webhook.DefaultOrganizationHeader,
		"header that carries the organization's id to upstreams")
	flags.StringVar(&o.leaseNamespace, "lease-namespace", o.leaseNamespace,
		"namespace of this replica's Lease, by default that of the environment variable POD_NAMESPACE")
	flags.DurationVar(&o.maxStaleness, "max-staleness", registry.DefaultStaleness,
		"how long to accept keys without contact to the API server; a revocation waits that long for an unreachable replica")
	flags.DurationVar(&o.suspectAfter, "suspect-after", registry.DefaultSuspectAfter,
		"how long without contact to the API server to refuse unknown keys with 401; after it they are answered 503. A new key waits "+
			"that long for an unreachable replica. The default is at most half of --max-staleness")
	flags.DurationVar(&o.drainDelay, "drain-delay", webhook.DefaultDrainDelay, "how long to keep serving after SIGTERM, while /readyz fails")
	flags.DurationVar(&o.shutdownTimeout, "shutdown-timeout", webhook.DefaultShutdownTimeout,
		"how long to wait for requests in flight after --drain-delay")
	o.connections.bind(flags)
	config.RegisterFlags(flags)
	o.logging.BindFlags(flags)
	return upstream, checked
}

// complete derives what depends on several flags, and checks it.
func (o *options) complete(set map[string]bool, upstream, podUID string) error {
	if o.maxStaleness < registry.MinStaleness {
		return fmt.Errorf("--max-staleness %s: set it to %s or more: it has to fit some renewals", o.maxStaleness, registry.MinStaleness)
	}
	if o.maxStaleness > registry.LongestStaleness {
		return fmt.Errorf("--max-staleness %s: set it to %s or less: a revocation may wait that long", o.maxStaleness, registry.LongestStaleness)
	}
	if !set["suspect-after"] {
		o.suspectAfter = min(o.suspectAfter, o.maxStaleness/2)
	}
	if o.suspectAfter <= 0 || o.suspectAfter >= o.maxStaleness {
		return fmt.Errorf("--suspect-after %s: set it to less than --max-staleness (%s)", o.suspectAfter, o.maxStaleness)
	}
	if o.drainDelay < 0 || o.shutdownTimeout <= 0 {
		return errors.New("--drain-delay must not be negative, and --shutdown-timeout has to be more than 0s")
	}
	if err := o.connections.check(set, upstream != ""); err != nil {
		return err
	}
	if o.leaseNamespace == "" {
		return errors.New("--lease-namespace: set it to the namespace that the operator is installed in")
	}
	if upstream == "" {
		for _, name := range []string{"proxy-listen", "upstream-ca"} {
			if set[name] {
				return fmt.Errorf("--%s: needs --upstream, without which there is no proxy", name)
			}
		}
	} else {
		u, err := webhook.ParseUpstream(upstream)
		if err != nil {
			return fmt.Errorf("--upstream: %w", err)
		}
		o.upstream = u
	}
	if err := o.oidc.check(set); err != nil {
		return err
	}
	// A restart in the same pod takes over the Lease of the process before it, which
	// is known to be dead. Without a pod nobody knows that, so the name is new.
	if podUID == "" {
		podUID = string(uuid.NewUUID())
	}
	o.leaseName = "authserver-" + podUID
	return nil
}
