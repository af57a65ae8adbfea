// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Command binaries is what a control plane consists of, in one program: etcd,
// kube-apiserver, kube-controller-manager and kubectl, each as its own project builds it.
// They share most of their code, which is so compiled and linked once. The name that it is
// called by says which of them it is.
//
// With the build tag envtest it is kube-controller-manager alone: the rest is in
// envtest's archives.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	_ "time/tzdata" // for the time zones of CronJobs

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // the JSON log format
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // metrics of client-go
	_ "k8s.io/component-base/metrics/prometheus/version"  // the metric of the version
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

var programs = map[string]func(){
	"kube-controller-manager": func() { os.Exit(cli.Run(controllermanager.NewControllerManagerCommand())) },
}

func main() {
	name := filepath.Base(os.Args[0])
	program := programs[name]
	if program == nil {
		fmt.Fprintf(os.Stderr, "%s is none of the programs of a control plane\n", name)
		os.Exit(2)
	}
	program()
}
