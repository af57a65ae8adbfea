// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package crd_test

import (
	"os"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"
)

var _ = DescribeTable("GOMEMLIMIT is 90 % of the memory limit", func(path string) {
	text, err := os.ReadFile(path)
	Expect(err).NotTo(HaveOccurred())
	deployment := &appsv1.Deployment{}
	Expect(yaml.UnmarshalStrict(text, deployment)).To(Succeed())
	for _, container := range deployment.Spec.Template.Spec.Containers {
		var soft int64
		for _, variable := range container.Env {
			if variable.Name == "GOMEMLIMIT" {
				mebibytes, err := strconv.ParseInt(strings.TrimSuffix(variable.Value, "MiB"), 10, 64)
				Expect(err).NotTo(HaveOccurred())
				soft = mebibytes << 20
			}
		}
		Expect(float64(soft)).To(BeNumerically("~", 0.9*float64(container.Resources.Limits.Memory().Value()), 1<<20), container.Name)
	}
},
	Entry("of the manager", "../../config/manager/deployment.yaml"),
	Entry("of the auth server", "../../config/authserver/deployment.yaml"),
)
