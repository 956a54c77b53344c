//! Things as records: vehicles, vessels, works of art, firearms.

use i247_model::Hash;

use super::key::Key;
use super::line::{Centimetres, Line, Millimetres, Year};
use super::value::{Faults, enum_atoms, layout};
use crate::database::{Database, KeyKind};
use crate::date::Date;
use crate::document::{DocumentNumber, Issuer};
use crate::text::named;

named! {
    /// What a vehicle is.
    pub enum VehicleKind: "a kind of vehicle: CAR, TRUCK, MOTORBIKE, TRAILER, CARAVAN, BUS or PART" {
        /// A car.
        Car = "CAR",
        /// A truck.
        Truck = "TRUCK",
        /// A motorbike.
        Motorbike = "MOTORBIKE",
        /// A trailer.
        Trailer = "TRAILER",
        /// A caravan.
        Caravan = "CARAVAN",
        /// A bus.
        Bus = "BUS",
        /// An identifiable part.
        Part = "PART",
    }
}

named! {
    /// How a firearm was lost to the law.
    pub enum FirearmStatus: "a status of a firearm: LOST, STOLEN, TRAFFICKED or SMUGGLED" {
        /// Lost by its holder.
        Lost = "LOST",
        /// Stolen from its holder.
        Stolen = "STOLEN",
        /// Traded against the law.
        Trafficked = "TRAFFICKED",
        /// Carried over a border against the law.
        Smuggled = "SMUGGLED",
    }
}

enum_atoms! { VehicleKind, FirearmStatus }

layout! {
    /// A stolen vehicle or part. No data of persons.
    pub struct Vehicle {
        /// What it is.
        kind: VehicleKind,
        /// Vehicle identification number.
        vin: Option<DocumentNumber>,
        /// Number of the engine.
        engine_number: Option<DocumentNumber>,
        /// Registration plate.
        plate: Option<DocumentNumber>,
        /// Where the plate was issued.
        plate_country: Option<Issuer>,
        /// Number of an identifiable part.
        part_number: Option<DocumentNumber>,
        /// Who made it.
        make: Option<Line>,
        /// The model.
        model: Option<Line>,
        /// The colour.
        colour: Option<Line>,
        /// The year of manufacture.
        year: Option<Year>,
        /// The day of the theft.
        stolen_on: Option<Date>,
        /// Where it was stolen.
        theft_country: Option<Issuer>,
    }
}

impl Vehicle {
    pub(super) fn check(&self, faults: &mut Faults) {
        if let Some(vin) = &self.vin {
            let modern = vin.as_str().len() == 17;
            faults.rule(vin.as_str().len() <= 17, "vin", "has more than 17 characters");
            let ambiguous = vin.as_str().contains(['I', 'O', 'Q']);
            faults.rule(!modern || !ambiguous, "vin", "of 17 characters has no I, O or Q");
        }
        let plate_whole = self.plate.is_some() == self.plate_country.is_some();
        faults.rule(plate_whole, "plate_country", "goes with plate, and plate with it");
        let numbered =
            [self.vin, self.engine_number, self.plate, self.part_number].iter().any(Option::is_some);
        faults.rule(numbered, "vin", "or engine_number, plate or part_number must be there");
    }

    pub(super) fn keys(&self, keys: &mut Vec<Key>) {
        let numbers = [
            (KeyKind::Vin, self.vin),
            (KeyKind::Engine, self.engine_number),
            (KeyKind::Part, self.part_number),
        ];
        for (kind, number) in numbers {
            keys.extend(number.map(|number| Key::number(Database::Vehicles, kind, &number)));
        }
        keys.extend(self.plate_country.zip(self.plate).map(|(country, plate)| Key::plate(country, &plate)));
    }
}

layout! {
    /// A stolen vessel or engine.
    pub struct Vessel {
        /// What it is: SAILING YACHT, OUTBOARD ENGINE …
        vessel_type: Line,
        /// Hull identification number.
        hull_number: Option<DocumentNumber>,
        /// Number of the International Maritime Organization.
        imo_number: Option<DocumentNumber>,
        /// Its name.
        name: Option<Line>,
        /// Where it is registered.
        flag: Option<Issuer>,
        /// Its length.
        length_cm: Option<Centimetres>,
        /// Numbers of its engines.
        engine_numbers: Vec<DocumentNumber>,
        /// The day of the theft.
        stolen_on: Option<Date>,
    }
}

impl Vessel {
    pub(super) fn check(&self, faults: &mut Faults) {
        if let Some(imo) = &self.imo_number {
            faults.rule(
                is_imo(imo.as_str()),
                "imo_number",
                "is not 7 digits of which the last is the check digit",
            );
        }
        let named = self.name.is_some() || self.hull_number.is_some() || self.imo_number.is_some();
        let found = named || !self.engine_numbers.is_empty();
        faults.rule(found, "hull_number", "or imo_number, name or engine_numbers must be there");
    }

    pub(super) fn keys(&self, keys: &mut Vec<Key>) {
        for hull in [&self.hull_number, &self.imo_number].into_iter().flatten() {
            keys.push(Key::number(Database::Vessels, KeyKind::Hull, hull));
        }
        for engine in &self.engine_numbers {
            keys.push(Key::number(Database::Vessels, KeyKind::Engine, engine));
        }
        keys.extend(
            self.name.as_ref().map(|name| Key::words(Database::Vessels, KeyKind::VesselName, name.as_str())),
        );
    }
}

/// Seven digits; the last is that of the sum of the others times 7 to 2.
fn is_imo(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let [first @ .., last] = digits.as_slice() else { return false };
    let sum: u32 = first.iter().zip((2..=7).rev()).map(|(digit, weight)| digit * weight).sum();
    text.len() == 7 && digits.len() == 7 && sum % 10 == *last
}

layout! {
    /// A stolen work of art.
    pub struct Artwork {
        /// What it is: PAINTING, SCULPTURE, ICON …
        object_type: Line,
        /// Its title.
        title: Line,
        /// Who made it.
        author: Option<Line>,
        /// When it was made, in words.
        period: Option<Line>,
        /// Of what it is made.
        material: Option<Line>,
        /// Its height.
        height_mm: Option<Millimetres>,
        /// Its width.
        width_mm: Option<Millimetres>,
        /// Its depth.
        depth_mm: Option<Millimetres>,
        /// Commitments of pictures.
        images: Vec<Hash>,
        /// The day of the theft.
        stolen_on: Option<Date>,
        /// Where it was stolen.
        place: Option<Line>,
        /// Anybody may see it.
        public: bool,
    }
}

impl Artwork {
    pub(super) fn keys(&self, keys: &mut Vec<Key>) {
        keys.push(Key::words(Database::Art, KeyKind::Title, self.title.as_str()));
    }
}

layout! {
    /// An illicit firearm.
    pub struct Firearm {
        /// The serial number.
        serial: DocumentNumber,
        /// Who made it.
        make: Line,
        /// The model.
        model: Option<Line>,
        /// The calibre.
        calibre: Option<Line>,
        /// Where it was made.
        country_of_manufacture: Option<Issuer>,
        /// The mark of import.
        import_mark: Option<Line>,
        /// How it was lost to the law.
        status: FirearmStatus,
    }
}

impl Firearm {
    pub(super) fn keys(&self, keys: &mut Vec<Key>) {
        keys.push(Key::number(Database::Iarms, KeyKind::Serial, &self.serial));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_imo_number_has_a_check_digit() {
        // 9*7 + 0*6 + 7*5 + 4*4 + 7*3 + 2*2 = 139
        assert!(is_imo("9074729"));
        for text in ["9074728", "907472", "90747290", "", "907472A"] {
            assert!(!is_imo(text), "{text}");
        }
    }
}
