# SPDX-License-Identifier: Apache-2.0
#
# make            build both modules into out/modules
# make help       everything else

include build/rules.mk
