// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rotation rotates a key again and again while clients use it, and counts
// whom that cuts off: the real programs on a real control plane, with
//
//   - clients that read the key from a file, which a stand-in of the kubelet brings up
//     to date as late as a real one may,
//   - clients that read it once, from their environment, in pods of a real Deployment,
//     which the product restarts and kube-controller-manager rolls over; a stand-in of
//     the kubelet runs the pods.
//
// Nobody may ever be refused, and in the end nothing but the last key may be accepted.
package rotation
