// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/serving"
	"github.com/hexcovery/apikey-operator/internal/usage"
	usageserver "github.com/hexcovery/apikey-operator/internal/usage/serve"
	"github.com/hexcovery/apikey-operator/webhook"
)

// defaultUsageListen is for a pod that knows its IP address.
const defaultUsageListen = ":8443"

// usageOptions say where the manager gathers usage.
type usageOptions struct {
	listen          string
	address         string
	handOverTimeout time.Duration
}

func (o *usageOptions) bind(flags *flag.FlagSet, podIP string) {
	if podIP != "" {
		o.listen = defaultUsageListen
	}
	flags.StringVar(&o.listen, "usage-listen", o.listen,
		"address where the manager gathers usage, always with TLS; empty to count nothing. Default "+defaultUsageListen+" if POD_IP is set")
	flags.StringVar(&o.address, "usage-address", "",
		"IP address and port under which the manager reaches --usage-listen; by default the listener's, or POD_IP and its port")
	flags.DurationVar(&o.handOverTimeout, "usage-handover-timeout", usageserver.DefaultHandOverTimeout,
		"how long to wait at a graceful stop until the manager has gathered the final counts")
}

// check derives what can be known before anything is listened on.
func (o *usageOptions) check(set map[string]bool, podIP string) error {
	if o.handOverTimeout < 0 {
		return errors.New("--usage-handover-timeout must not be negative")
	}
	if o.listen == "" {
		for _, name := range []string{"usage-address", "usage-handover-timeout"} {
			if set[name] {
				return fmt.Errorf("--%s: needs --usage-listen, without which nothing is counted", name)
			}
		}
		return nil
	}
	host, port, err := net.SplitHostPort(o.listen)
	if err != nil {
		return fmt.Errorf("--usage-listen %q: %w", o.listen, err)
	}
	ip, _ := netip.ParseAddr(host)
	switch {
	case o.address != "":
		if _, err := netip.ParseAddrPort(o.address); err != nil {
			return fmt.Errorf("--usage-address %q: set it to an IP address and a port", o.address)
		}
	case ip.IsValid() && !ip.IsUnspecified():
	case podIP == "":
		return fmt.Errorf("--usage-listen %q: set --usage-address, or the environment variable POD_IP, to where the manager reaches it", o.listen)
	default:
		o.address = net.JoinHostPort(podIP, port)
		if _, err := netip.ParseAddrPort(o.address); err != nil {
			return fmt.Errorf("--usage-listen %q: POD_IP is %q: it has to be an IP address, and the port a number", o.listen, podIP)
		}
	}
	return nil
}

// counting is what counts the use of keys, and where it is served.
type counting struct {
	options     *usageOptions
	table       *usage.Table
	listener    net.Listener
	certificate tls.Certificate
	address     netip.AddrPort
	pin         string
}

// openUsage returns nil if nothing is to be counted.
func openUsage(ctx context.Context, options *usageOptions) (*counting, error) {
	if options.listen == "" {
		return nil, nil
	}
	c := &counting{options: options, table: usage.NewTable(clock.RealClock{})}
	var err error
	if c.listener, err = listen(ctx, "--usage-listen", options.listen); err != nil {
		return nil, err
	}
	address := options.address
	if address == "" {
		address = c.listener.Addr().String()
	}
	if c.address, err = netip.ParseAddrPort(address); err != nil {
		return nil, fmt.Errorf("--usage-listen: %w", err)
	}
	if c.certificate, c.pin, err = usageserver.NewCertificate(); err != nil {
		return nil, fmt.Errorf("--usage-listen: %w", err)
	}
	return c, nil
}

// announce has the replica count, and its Lease say where usage is served.
func (c *counting) announce(config *registry.ReplicaConfig) {
	if c != nil {
		config.Usage, config.UsageAddress, config.UsagePin = c.table, c.address.String(), c.pin
	}
}

// serve returns the server of usage; nil if nothing is counted.
func (c *counting) serve(cluster *rest.Config, replica *registry.Replica, connections *serving.Metrics) (webhook.Usage, error) {
	if c == nil {
		return nil, nil
	}
	filter, err := usageserver.NewFilter(cluster)
	if err != nil {
		return nil, fmt.Errorf("--usage-listen: %w", err)
	}
	server, err := usageserver.New(usageserver.Config{
		Table: c.table, Process: replica.Process(), Finish: replica.Finish,
		Listener: c.listener, Certificate: c.certificate, Filter: filter,
		HandOverTimeout: c.options.handOverTimeout,
		Clock:           clock.RealClock{}, Log: ctrl.Log.WithName("usage"), Connections: connections,
	})
	if err != nil {
		return nil, fmt.Errorf("--usage-listen: %w", err)
	}
	return server, nil
}
