// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"fmt"
	"time"

	"github.com/hexcovery/apikey-operator/webhook"
)

// minStallTimeout leaves a client time for a lost packet or two.
const minStallTimeout = time.Second

type connectionOptions struct {
	most, mostPerClient int
	requests            int
	stallTimeout        time.Duration
}

func (o *connectionOptions) bind(flags *flag.FlagSet) {
	flags.IntVar(&o.most, "max-connections", webhook.DefaultMaxConnections,
		"connections of each of --listen, --grpc-listen and --proxy-listen at a time, of 25 to 45 KB each. Beyond, an idle one is closed")
	flags.IntVar(&o.mostPerClient, "max-connections-per-client", 0,
		"connections of one IPv4 address, or one /64 of IPv6, at --proxy-listen at a time; 0 for half of --max-connections. Behind a "+
			"load balancer that hides client addresses, set it to --max-connections")
	flags.IntVar(&o.requests, "max-requests", webhook.DefaultMaxRequests,
		"requests that the proxy forwards at a time, of up to 230 KB each; half of them for one organization. Beyond: 503 too_busy")
	flags.DurationVar(&o.stallTimeout, "stall-timeout", webhook.DefaultStallTimeout,
		"how long a request through the proxy may make no progress because of its client; with progress it has no limit")
}

func (o *connectionOptions) check(set map[string]bool, proxied bool) error {
	for _, name := range []string{"max-connections-per-client", "max-requests", "stall-timeout"} {
		if set[name] && !proxied {
			return fmt.Errorf("--%s: needs --upstream, without which there is no proxy", name)
		}
	}
	switch {
	case o.most < 1:
		return fmt.Errorf("--max-connections %d: set it to 1 or more", o.most)
	case o.mostPerClient < 0 || o.mostPerClient > o.most:
		return fmt.Errorf("--max-connections-per-client %d: set it to between 1 and --max-connections (%d), or to 0 for half of that", o.mostPerClient, o.most)
	case o.requests < 1:
		return fmt.Errorf("--max-requests %d: set it to 1 or more", o.requests)
	case o.stallTimeout < minStallTimeout:
		return fmt.Errorf("--stall-timeout %s: set it to %s or more", o.stallTimeout, minStallTimeout)
	}
	return nil
}

func (o *connectionOptions) apply(config *webhook.Config) {
	config.MaxConnections, config.MaxConnectionsPerClient = o.most, o.mostPerClient
	config.MaxRequests, config.StallTimeout = o.requests, o.stallTimeout
}
