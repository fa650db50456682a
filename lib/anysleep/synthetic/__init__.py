"""Synthetic polysomnography: persons, hypnograms, nights and whole cohorts, written as real EDF+ files.

Nothing here was recorded from a human being. The nights imitate what the AASM manual (Berry et al., The AASM Manual
for the Scoring of Sleep and Associated Events) asks a scorer to look for, so that the workbook can be run, taught
and tested without patient data. They support no claim about sleep.

Planted on purpose: arousals grow with age and with obstructive sleep apnoea (OSA); after most arousals of OSA patients,
and few of others, sleep is resumed by way of some seconds of N1; slow waves and spindles shrink with age.
Deliberately without effect: sex on anything; OSA, age and sex on the 30 s hypnogram.

That holds at variety 0. From there to 1 persons sleep and are recorded ever more differently, as in many laboratories
(`Circumstances`): other montages, filters, amplitudes, faults and diseases, also by age, sex and OSA.
"""

from anysleep.synthetic.cohort import write_cohort
from anysleep.synthetic.hypnogram import simulate_hypnogram
from anysleep.synthetic.night import SyntheticNight, simulate_night
from anysleep.synthetic.persons import Circumstances, Person, draw_persons
